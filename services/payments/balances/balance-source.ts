import { type BalanceSource, type Contribution, NO_CONTRIBUTION } from "../ledger.ts";
import { negate, owedToSeller } from "../ledger.ts";
import type { PaymentFields, Payments } from "../payment.ts";
import type { Payout, Payouts } from "../payout.ts";
import { availableTime } from "./availability.ts";
import type { Balances, SourceKind } from "./balance.ts";

// Sales and payouts are the sources of balances: each knows what it contributes now, and what of that
// its balance already includes.

export interface BalanceDeps {
  payments: Payments;
  payouts: Payouts;
  balances: Balances;
  now: () => number;
  /** For how many days the earnings of a ticket without a date are held. */
  holdDays: number;
}

/** A sale or a payout, with its current contribution. */
interface SourceState extends BalanceSource {
  sellerId: string;
  currency: string;
  contribution: Contribution;
  /** When its contribution changes by time alone. */
  next: Date | undefined;
  /** A filter that matches while the source is unchanged. */
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
  // A debt of the seller from one sale is deducted from the other sales at once.
  const isOver = owed < 0 || (time !== undefined && time.getTime() <= now());
  const [held, available] = isOver ? [0, owed] : [owed, 0];
  return {
    sellerId: order.sellerId,
    currency: order.currency,
    counted,
    unchanged: { version },
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
  const paidOut = negate(owedToSeller(postings));
  return {
    sellerId,
    currency,
    counted,
    unchanged: { status },
    contribution: { held: 0, available: negate(paidOut), paidOut, payouts: 1 },
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

/** Updates the materialization fields of a source, which is no change of the sale or the payout itself. */
export async function updateSource(
  { payments, payouts }: BalanceDeps,
  kind: SourceKind,
  filter: object,
  change: object,
): Promise<void> {
  if (kind === "sale") await payments.updateOne(filter, change);
  else await payouts.updateOne(filter, change);
}
