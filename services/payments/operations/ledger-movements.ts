import type { Posting } from "../ledger.ts";
import type { PaymentFields } from "../payment.ts";
import type { Payout } from "../payout.ts";
import {
  add,
  type MovementSource,
  type ReconciliationDeps,
  type Sides,
  type Span,
} from "./movements.ts";

const heldBy = ({ lines }: Posting): number =>
  lines.reduce((sum, { account, amount }) => (account === "stripe" ? sum + amount : sum), 0);

/** The source of a posting, whose id the posting's id begins with. */
function thingOf({ _id, attempts, refunds }: PaymentFields, posting: Posting): MovementSource {
  const at = { paymentId: _id };
  const isOf = ({ _id: id }: { _id: string }): boolean => posting._id.startsWith(id);
  const attempt = attempts.find(isOf);
  if (attempt) return { kind: "sale", id: attempt.stripeId ?? attempt._id, at };
  const refund = refunds.find(isOf);
  if (refund) return { kind: "refund", id: refund.stripeId ?? refund._id, at };
  const disputeId = /^dispute:([^:]+)/.exec(posting._id)?.[1];
  if (disputeId !== undefined) return { kind: "dispute", id: disputeId, at };
  return { kind: "posting", id: posting._id, at };
}

function addPayment(sides: Sides, payment: PaymentFields, wanted: (posting: Posting) => boolean) {
  for (const posting of payment.postings.filter(wanted)) {
    add(sides, thingOf(payment, posting), payment.order.currency, heldBy(posting));
  }
}

/** Adds all postings of a payout as one movement: of a refused payout, Stripe knows nothing. */
function addPayout(sides: Sides, payout: Payout, wanted: (posting: Posting) => boolean): void {
  const { _id: id, postings, currency } = payout;
  if (!postings.some(wanted)) return;
  const moved = postings.reduce((sum, posting) => sum + heldBy(posting), 0);
  add(sides, { kind: "payout", id, at: { payoutId: id } }, currency, moved);
}

export async function postedIn(
  { payments, payouts }: ReconciliationDeps,
  { from, to }: Span,
): Promise<Sides> {
  const sides: Sides = new Map();
  const wanted = ({ time }: Posting): boolean => time >= from && time < to;
  const within = { postings: { $elemMatch: { time: { $gte: from, $lt: to } } } };
  const found = payments.find(within, { outbox: 0 }).lean<PaymentFields[]>().cursor();
  for await (const payment of found) addPayment(sides, payment as PaymentFields, wanted);
  for await (const payout of payouts.find(within).lean<Payout[]>().cursor()) {
    addPayout(sides, payout as Payout, wanted);
  }
  return sides;
}

/** All postings of a source, at any time. */
export async function allHere(
  { payments, payouts }: ReconciliationDeps,
  { at }: MovementSource,
): Promise<Sides> {
  const sides: Sides = new Map();
  const all = (): boolean => true;
  if (at && "payoutId" in at) {
    const payout = await payouts.findById(at.payoutId).lean<Payout>();
    if (payout) addPayout(sides, payout, all);
  } else if (at) {
    const where = "intent" in at ? { "attempts.stripeId": at.intent } : { _id: at.paymentId };
    const payment = await payments.findOne(where, { outbox: 0 }).lean<PaymentFields>();
    if (payment) addPayment(sides, payment, all);
  }
  return sides;
}
