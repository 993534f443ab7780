import { updateAggregate } from "#runtime/store/plain-aggregate.ts";
import { setSellerBanned, type Tickets } from "../ticket.ts";

/** How many listings are changed at once; some sellers have thousands. */
const CONCURRENCY = 20;

/**
 * Withdraws all listings of a banned seller, or restores them. It passes over them once in the order of
 * their ids; a listing made meanwhile has a greater id and is included.
 */
export async function setListingsBanned(
  tickets: Tickets,
  userId: string,
  banned: boolean,
): Promise<void> {
  const sellerBanned = banned ? { $ne: true } : true;
  for (let after = ""; ;) {
    const page = await tickets
      .find({ userId, _id: { $gt: after }, sellerBanned }, { _id: 1 })
      .sort({ _id: 1 })
      .limit(CONCURRENCY)
      .lean();
    await Promise.all(
      page.map(({ _id }) =>
        updateAggregate(tickets, _id, (ticket) => setSellerBanned(ticket, banned)),
      ),
    );
    const last = page.at(-1);
    if (!last) return;
    after = last._id;
  }
}
