import { update } from "#runtime/store/aggregate.ts";
import { ban, type Orders } from "./order.ts";

/** So many at once: some sellers have thousands of tickets. */
const PAGE = 20;

/** Cancels what a banned user has open, and what others have open on their tickets. */
export async function cancelOrdersOf(orders: Orders, userId: string): Promise<void> {
  const open = { status: "CREATED" as const, $or: [{ userId }, { sellerId: userId }] };
  for (;;) {
    const page = await orders.find(open, { _id: 1 }).limit(PAGE).lean();
    if (page.length === 0) return;
    await Promise.all(page.map(({ _id }) => update(orders, _id, ban)));
  }
}
