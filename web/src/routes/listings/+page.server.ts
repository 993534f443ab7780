import { TicketAvailability } from "@ticketing/proto/web/tickets/v1/ticket_service";
import { refusedPage, signedIn } from "#lib/server/answers.ts";
import type { PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const user = signedIn(event);
  const pageToken = event.url.searchParams.get("page") ?? "";
  const { tickets, nextPageToken } = await event.locals.api.tickets
    .listTickets({ sellerId: user.id, availability: TicketAvailability.ANY, pageToken })
    .catch(refusedPage(event));
  return { tickets, pageToken, nextPageToken };
};
