import type Stripe from "stripe";
import type { Posting } from "../ledger.ts";
import type { PaymentFields, Payments } from "../payment.ts";
import type { Payout, Payouts } from "../payout.ts";

// Stripe's books and ours, side by side. They are matched by what the money moved for, and not by
// time: around midnight a thing may be written down here on one day and there on the other.

export interface ReconciliationDeps {
  payments: Payments;
  payouts: Payouts;
  stripe: Stripe;
}

/** From when, and until before when. */
export interface Span {
  from: Date;
  to: Date;
}

/** What money moves for: `id` is Stripe's (of a sale, its intent); of a payout it is ours. */
interface MovementSource {
  kind: "sale" | "refund" | "dispute" | "payout" | "transfer reversal" | "posting";
  id: string;
  /** Where our side of it stands. */
  at: { paymentId: string } | { intent: string } | { payoutId: string } | undefined;
}

/** A thing of which the two sides tell differently; amounts in minor units, as Stripe holds them. */
export interface Difference extends Pick<MovementSource, "kind" | "id"> {
  currency: string;
  here: number[];
  there: number[];
}

interface Movements {
  thing: MovementSource;
  currency: string;
  amounts: number[];
}

type Sides = Map<string, Movements>;

function add(sides: Sides, thing: MovementSource, currency: string, amount: number): void {
  if (amount === 0) return;
  const key = `${thing.kind} ${thing.id}`;
  const side = sides.get(key) ?? { thing, currency, amounts: [] };
  side.amounts.push(amount);
  sides.set(key, side);
}

const heldBy = ({ lines }: Posting): number =>
  lines.reduce((sum, { account, amount }) => (account === "stripe" ? sum + amount : sum), 0);

/** What a posting of a payment follows from: the id of that is in its own. */
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

/** All of its postings as one: of a payout that was refused, Stripe knows nothing. */
function addPayout(sides: Sides, payout: Payout, wanted: (posting: Posting) => boolean): void {
  const { _id: id, postings, currency } = payout;
  if (!postings.some(wanted)) return;
  const moved = postings.reduce((sum, posting) => sum + heldBy(posting), 0);
  add(sides, { kind: "payout", id, at: { payoutId: id } }, currency, moved);
}

async function postedIn(
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

const idOf = (reference: string | { id: string } | null | undefined): string =>
  typeof reference === "string" ? reference : (reference?.id ?? "");

/** What of Stripe's moves our sellers' money; its fees and what it pays us are no part of the ledger. */
function sourceOf({ source }: Stripe.BalanceTransaction): MovementSource | undefined {
  if (typeof source !== "object") return undefined;
  switch (source?.object) {
    case "charge": {
      const intent = idOf(source.payment_intent);
      return { kind: "sale", id: intent || source.id, at: { intent } };
    }
    case "refund":
      return { kind: "refund", id: source.id, at: { intent: idOf(source.payment_intent) } };
    case "dispute":
      return { kind: "dispute", id: source.id, at: { intent: idOf(source.payment_intent) } };
    case "transfer": {
      const payoutId = source.transfer_group ?? "";
      return { kind: "payout", id: payoutId || source.id, at: { payoutId } };
    }
    case "transfer_reversal":
      return { kind: "transfer reversal", id: source.id, at: undefined };
    default:
      return undefined;
  }
}

/** In the currency of the sale, also where Stripe has changed it into the one of our bank. */
function movedBy({ amount, currency, source }: Stripe.BalanceTransaction): [number, string] {
  const of = source as { amount?: number; amount_captured?: number; currency?: string };
  if (of.currency === undefined || of.currency === currency) return [amount, currency];
  return [Math.sign(amount) * (of.amount_captured ?? of.amount ?? 0), of.currency];
}

/** Adds what Stripe has moved to the sides. */
async function addMoved(
  sides: Sides,
  stripe: Stripe,
  which: Pick<Stripe.BalanceTransactionListParams, "created" | "source">,
): Promise<void> {
  const params = { ...which, limit: 100, expand: ["data.source"] };
  for await (const transaction of stripe.balanceTransactions.list(params)) {
    const thing = sourceOf(transaction);
    const [amount, currency] = movedBy(transaction);
    if (thing) add(sides, thing, currency.toUpperCase(), amount);
  }
}

/** Everything that was ever posted for a thing. */
async function allHere(
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

/** Nothing, where Stripe does not know it. */
async function orNone<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((error: unknown) => {
    if ((error as Partial<Stripe.errors.StripeError>).statusCode === 404) return undefined;
    throw error;
  });
}

/** Stripe's ids of what moves money for a thing; what was done by hand is only known by its own. */
async function sourcesOf(stripe: Stripe, { kind, id }: MovementSource): Promise<string[]> {
  if (kind === "sale") {
    const intent = await orNone(stripe.paymentIntents.retrieve(id));
    return [idOf(intent?.latest_charge) || id];
  }
  if (kind !== "payout") return [id];
  const { data } = await stripe.transfers.list({ transfer_group: id, limit: 100 });
  return data.length > 0 ? data.map((transfer) => transfer.id) : [id];
}

/** Everything that Stripe ever moved for a thing. */
async function allThere({ stripe }: ReconciliationDeps, thing: MovementSource): Promise<Sides> {
  const sides: Sides = new Map();
  for (const source of await sourcesOf(stripe, thing)) {
    await orNone(addMoved(sides, stripe, { source }));
  }
  return sides;
}

const inOrder = (side: Movements | undefined): number[] =>
  (side?.amounts ?? []).toSorted((one, other) => one - other);

const isEqual = (one: Movements | undefined, other: Movements | undefined): boolean =>
  one?.currency === other?.currency && `${inOrder(one)}` === `${inOrder(other)}`;

/** All of which Stripe's balance and our ledger tell differently, and that either wrote down then. */
export async function reconcile(deps: ReconciliationDeps, span: Span): Promise<Difference[]> {
  const seconds = (time: Date): number => Math.floor(time.getTime() / 1_000);
  const created = { gte: seconds(span.from), lt: seconds(span.to) };
  const theirs: Sides = new Map();
  await addMoved(theirs, deps.stripe, { created });
  const ours = await postedIn(deps, span);
  const differences: Difference[] = [];
  for (const key of new Set([...theirs.keys(), ...ours.keys()])) {
    const known = theirs.get(key) ?? ours.get(key);
    if (!known || isEqual(ours.get(key), theirs.get(key))) continue;
    const { thing, currency } = known;
    const here = (await allHere(deps, thing)).get(key);
    const there = (await allThere(deps, thing)).get(key);
    if (isEqual(here, there)) continue;
    const { kind, id } = thing;
    differences.push({ kind, id, currency, here: inOrder(here), there: inOrder(there) });
  }
  return differences;
}
