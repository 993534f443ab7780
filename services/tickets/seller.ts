import { update } from "#runtime/store/aggregate.ts";
import { setSellerBanned, type Tickets } from "./ticket.ts";

/** So many at once: some sellers have thousands. */
const PAGE = 20;

/**
 * Takes all listings of a seller off the market, or brings back those that were so taken. It goes
 * through them once, by their ids; one that is listed meanwhile has a greater id, and is met too.
 */
export async function withholdListings(
  tickets: Tickets,
  userId: string,
  banned: boolean,
): Promise<void> {
  const sellerBanned = banned ? { $ne: true } : true;
  for (let after = ""; ;) {
    const page = await tickets
      .find({ userId, _id: { $gt: after }, sellerBanned }, { _id: 1 })
      .sort({ _id: 1 })
      .limit(PAGE)
      .lean();
    await Promise.all(
      page.map(({ _id }) => update(tickets, _id, (ticket) => setSellerBanned(ticket, banned))),
    );
    const last = page.at(-1);
    if (!last) return;
    after = last._id;
  }
}
