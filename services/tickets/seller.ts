import { update } from "#runtime/aggregate.ts";
import { setSellerBanned, type Tickets } from "./ticket.ts";

/** So many at once: some sellers have thousands. */
const PAGE = 20;

/** Takes all listings of a seller off the market, or brings back those that were so taken. */
export async function withholdListings(
  tickets: Tickets,
  userId: string,
  banned: boolean,
): Promise<void> {
  const left = { userId, sellerBanned: banned ? { $ne: true } : true };
  for (;;) {
    const page = await tickets.find(left, { _id: 1 }).limit(PAGE).lean();
    if (page.length === 0) return;
    await Promise.all(
      page.map(({ _id }) => update(tickets, _id, (ticket) => setSellerBanned(ticket, banned))),
    );
  }
}
