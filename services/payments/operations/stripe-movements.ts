import type Stripe from "stripe";
import { add, type MovementSource, type ReconciliationDeps, type Sides } from "./movements.ts";

const idOf = (reference: string | { id: string } | null | undefined): string =>
  typeof reference === "string" ? reference : (reference?.id ?? "");

/** The source of a balance transaction. Stripe's fees and its payouts to us are not part of the ledger. */
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

/** The amount in the currency of the sale, also where Stripe has converted it to our bank's currency. */
function movedBy({ amount, currency, source }: Stripe.BalanceTransaction): [number, string] {
  const of = source as { amount?: number; amount_captured?: number; currency?: string };
  if (of.currency === undefined || of.currency === currency) return [amount, currency];
  return [Math.sign(amount) * (of.amount_captured ?? of.amount ?? 0), of.currency];
}

/** Adds the movements of Stripe's balance transactions. */
export async function addMoved(
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

/** Undefined if Stripe has no such object. */
async function orNone<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((error: unknown) => {
    if ((error as Partial<Stripe.errors.StripeError>).statusCode === 404) return undefined;
    throw error;
  });
}

/** Stripe's ids of the balance transactions' sources; something made by hand has only its own id. */
async function sourcesOf(stripe: Stripe, { kind, id }: MovementSource): Promise<string[]> {
  if (kind === "sale") {
    const intent = await orNone(stripe.paymentIntents.retrieve(id));
    return [idOf(intent?.latest_charge) || id];
  }
  if (kind !== "payout") return [id];
  const { data } = await stripe.transfers.list({ transfer_group: id, limit: 100 });
  return data.length > 0 ? data.map((transfer) => transfer.id) : [id];
}

/** All movements of a source at Stripe, at any time. */
export async function allThere(
  { stripe }: ReconciliationDeps,
  thing: MovementSource,
): Promise<Sides> {
  const sides: Sides = new Map();
  for (const source of await sourcesOf(stripe, thing)) {
    await orNone(addMoved(sides, stripe, { source }));
  }
  return sides;
}
