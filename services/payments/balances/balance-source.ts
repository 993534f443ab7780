import { type BalanceSource, type Contribution, NO_CONTRIBUTION } from "../ledger.ts";
import { owedToSeller } from "../ledger.ts";
import type { PaymentFields, Payments } from "../payment.ts";
import type { Payout, Payouts } from "../payout.ts";
import { availableTime } from "./availability.ts";
import type { Balances, SourceKind } from "./balance.ts";

// Balances follow the ledger: whatever changes a sale or a payout marks it in the same write, and here
// the difference to what was counted of it is added to its seller's balance, once. No transaction
// spans the two documents. The balance takes the share, and notes of which thing it is, in one
// compare-and-set; then the thing is told. Wherever a process dies, the next one goes on from the note.

export interface BalanceDeps {
  payments: Payments;
  payouts: Payouts;
  balances: Balances;
  now: () => number;
  /** What was earned with a ticket without a date waits so many days. */
  holdDays: number;
}

/** A sale or a payout, as far as it concerns a balance. */
interface SourceState extends BalanceSource {
  sellerId: string;
  currency: string;
  contribution: Contribution;
  /** When its share changes though nothing happens to it. */
  next: Date | undefined;
  /** What is so as long as nothing has happened to it. */
  unchanged: { version: number } | { status: Payout["status"] };
}

export const isSame = (one: Contribution, other: Contribution): boolean =>
  one.held === other.held &&
  one.available === other.available &&
  one.paidOut === other.paidOut &&
  one.payouts === other.payouts;

function contributionOfSale(sale: PaymentFields, { now, holdDays }: BalanceDeps): SourceState {
  const { order, postings, version, counted } = sale;
  const owed = owedToSeller(postings);
  const time = availableTime(sale, holdDays);
  // What is owed by the seller of one sale is taken from the others, whatever its date.
  const isOver = owed < 0 || (time !== undefined && time.getTime() <= now());
  const [held, available] = isOver ? [0, owed] : [owed, 0];
  return {
    ...{ sellerId: order.sellerId, currency: order.currency, counted, unchanged: { version } },
    contribution: { ...NO_CONTRIBUTION, held, available },
    next: isOver ? undefined : time,
  };
}

function contributionOfPayout({
  sellerId,
  currency,
  postings,
  status,
  counted,
}: Payout): SourceState {
  const paidOut = -owedToSeller(postings);
  return {
    ...{ sellerId, currency, counted, unchanged: { status } },
    contribution: { held: 0, available: -paidOut, paidOut, payouts: 1 },
    next: undefined,
  };
}

export async function readSource(
  deps: BalanceDeps,
  kind: SourceKind,
  id: string,
): Promise<SourceState | undefined> {
  if (kind === "sale") {
    const sale = await deps.payments.findById(id, { outbox: 0 }).lean<PaymentFields>();
    return sale?.captureTime ? contributionOfSale(sale, deps) : undefined;
  }
  const payout = await deps.payouts.findById(id).lean<Payout>();
  return payout ? contributionOfPayout(payout) : undefined;
}

/** Changes what a thing keeps of being counted; that is no change of the thing. */
export async function updateSource(
  { payments, payouts }: BalanceDeps,
  kind: SourceKind,
  filter: object,
  change: object,
): Promise<void> {
  if (kind === "sale") await payments.updateOne(filter, change);
  else await payouts.updateOne(filter, change);
}
