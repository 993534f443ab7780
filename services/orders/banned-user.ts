import { update } from "#runtime/store/aggregate.ts";
import { cancelBanned, type Orders } from "./order.ts";

/** How many orders are cancelled at once; some sellers have thousands. */
const CONCURRENCY = 20;

/** Cancels a banned user's open orders, and those of others for their tickets. */
export async function cancelOrdersOf(orders: Orders, userId: string): Promise<void> {
  const open = { status: "CREATED" as const, $or: [{ userId }, { sellerId: userId }] };
  for (;;) {
    const page = await orders.find(open, { _id: 1 }).limit(CONCURRENCY).lean();
    if (page.length === 0) return;
    await Promise.all(page.map(({ _id }) => update(orders, _id, cancelBanned)));
  }
}
