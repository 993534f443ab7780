import { browseRequest, readFilters } from "#lib/tickets/ticket-search.ts";
import { toFirstPageOrError } from "#lib/server/pages/form-errors.ts";
import type { PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const { locals, url } = event;
  const filters = readFilters(url.searchParams);
  const page = url.searchParams.get("page") ?? "";
  const { tickets, nextPageToken } = await locals.api.tickets
    .listTickets(browseRequest(filters, page))
    .catch(toFirstPageOrError(event));
  return { filters, page, tickets, nextPageToken };
};
