import { browseRequest, readFilters } from "#lib/browse.ts";
import { refusedPage } from "#lib/server/answers.ts";
import type { PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const { locals, url } = event;
  const filters = readFilters(url.searchParams);
  const page = url.searchParams.get("page") ?? "";
  const { tickets, nextPageToken } = await locals.api.tickets
    .listTickets(browseRequest(filters, page))
    .catch(refusedPage(event));
  return { filters, page, tickets, nextPageToken };
};
