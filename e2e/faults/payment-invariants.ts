import type { Intent, StoredState } from "./stored-state.ts";

// Invariants of payments, of which each yields its violations.

export function* everySaleIsPaidOnce({ orders, intents, refunded }: StoredState) {
  const captured = new Map<string, Intent>();
  for (const intent of intents) {
    const { order_id: id } = intent.metadata;
    if (intent.status === "requires_capture") yield `money is still reserved for order ${id}`;
    if (intent.status === "requires_action") yield `order ${id} could still be paid`;
    if (intent.status !== "succeeded" || refunded.has(intent.id)) continue;
    if (captured.has(id)) yield `order ${id} was paid twice`;
    captured.set(id, intent);
  }
  for (const { _id, status, price, attemptId } of orders) {
    const intent = captured.get(_id);
    captured.delete(_id);
    if (status !== "COMPLETED" && intent) yield `order ${_id} is ${status}, and was paid`;
    if (status !== "COMPLETED") continue;
    if (intent?.amount_received !== price || intent.metadata.attempt_id !== attemptId) {
      yield `order ${_id} is completed for ${price}, and ${intent?.amount_received} was taken`;
    }
  }
  for (const id of captured.keys()) yield `order ${id} was paid, and is not there`;
}

export function* ledgerAgreesWithStripe({ payments, intents, refunded }: StoredState) {
  const captured = new Map<string, number>();
  for (const { id, metadata, amount_received: taken } of intents) {
    const remaining = refunded.has(id) ? 0 : taken;
    captured.set(metadata.order_id, (captured.get(metadata.order_id) ?? 0) + remaining);
  }
  for (const { _id, postings } of payments) {
    const lines = postings.flatMap((posting) => posting.lines);
    const total = (of: typeof lines) => of.reduce((sum, { amount }) => sum + amount, 0);
    if (total(lines) !== 0) yield `the ledger of order ${_id} is off by ${total(lines)}`;
    const held = total(lines.filter(({ account }) => account === "stripe"));
    const atStripe = captured.get(_id) ?? 0;
    if (held !== atStripe) yield `the ledger has ${held} of order ${_id}, and Stripe ${atStripe}`;
  }
}
