import { Code, ConnectError } from "@connectrpc/connect";
import { redirect } from "@sveltejs/kit";
import { browsePath, browseRequest, readFilters } from "#lib/browse.ts";
import { refused } from "#lib/server/answers.ts";
import type { PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const { locals, url } = event;
  const filters = readFilters(url.searchParams);
  const page = url.searchParams.get("page") ?? "";
  const { tickets, nextPageToken } = await locals.api.tickets
    .listTickets(browseRequest(filters, page))
    .catch((cause) => {
      // An old link to a page that is none any more: the beginning of the same list.
      if (page && ConnectError.from(cause).code === Code.InvalidArgument)
        redirect(303, browsePath(filters));
      return refused(event)(cause);
    });
  return { filters, page, tickets, nextPageToken };
};
