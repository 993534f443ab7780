import { OrderFilter } from "@ticketing/proto/web/orders/v1/order_service";
import { requireUser } from "#lib/server/pages/access.ts";
import { toFirstPageOrError } from "#lib/server/pages/load-errors.ts";
import type { PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  requireUser(event);
  const { locals, url } = event;
  const isPast = url.searchParams.get("filter") === "past";
  const pageToken = url.searchParams.get("page") ?? "";
  const filter = isPast ? OrderFilter.PAST : OrderFilter.ACTIVE;
  const { orders, nextPageToken } = await locals.api.orders
    .listOrders({ filter, pageToken })
    .catch(toFirstPageOrError(event));
  return { orders, isPast, pageToken, nextPageToken };
};
