import { TicketAvailability } from "@ticketing/proto/web/tickets/v1/ticket_service";
import { requireUser } from "#lib/server/pages/access.ts";
import { toFirstPageOrError } from "#lib/server/pages/load-errors.ts";
import type { PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const user = requireUser(event);
  const pageToken = event.url.searchParams.get("page") ?? "";
  const { tickets, nextPageToken } = await event.locals.api.tickets
    .listTickets({ sellerId: user.id, availability: TicketAvailability.ANY, pageToken })
    .catch(toFirstPageOrError(event));
  return { tickets, pageToken, nextPageToken };
};
