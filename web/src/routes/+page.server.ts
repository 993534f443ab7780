import { toFirstPageOrError } from "#lib/server/pages/load-errors.ts";
import { listTicketsRequest, readTicketSearch } from "#lib/tickets/ticket-search.ts";
import type { PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const { locals, url } = event;
  const search = readTicketSearch(url.searchParams);
  const pageToken = url.searchParams.get("page") ?? "";
  const { tickets, nextPageToken } = await locals.api.tickets
    .listTickets(listTicketsRequest(search, pageToken))
    .catch(toFirstPageOrError(event));
  return { search, pageToken, tickets, nextPageToken };
};
