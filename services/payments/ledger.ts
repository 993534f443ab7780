import { Schema } from "mongoose";

// A double-entry ledger. Each posting has lines that sum to zero: what one account gets, other accounts
// give. Postings are stored in the document that they follow from (a payment or a payout), in the same
// write as the change itself, so that neither can exist without the other.

/** One account's part of a posting, in minor units. What Stripe holds for us is positive, what we owe is negative. */
export interface Line {
  account: "stripe" | "fees" | "seller";
  amount: number;
}

/** One movement of money. Its id names its cause, so that it is written once. */
export interface Posting {
  _id: string;
  time: Date;
  lines: Line[];
}

export const postingSchema = new Schema<Posting>({
  _id: { type: String, required: true },
  time: { type: Date, required: true },
  lines: [
    new Schema<Line>(
      { account: { type: String, required: true }, amount: { type: Number, required: true } },
      { _id: false },
    ),
  ],
});

/** Negates an amount. It returns 0 for 0, where `-amount` would be -0. */
export const negate = (amount: number): number => (amount === 0 ? 0 : -amount);

/** Our fee on a price, in basis points, rounded to the nearest minor unit. */
export const feeOf = (price: number, bps: number): number =>
  Number((BigInt(price) * BigInt(bps) * 2n + 10_000n) / 20_000n);

const sum = (postings: readonly Posting[], account: Line["account"]): number =>
  postings
    .flatMap(({ lines }) => lines)
    .reduce((total, line) => (line.account === account ? total + line.amount : total), 0);

/** The amount that the postings owe to the seller. */
export const owedToSeller = (postings: readonly Posting[]): number =>
  negate(sum(postings, "seller"));

/** Our fees in the postings. */
export const feesOf = (postings: readonly Posting[]): number => negate(sum(postings, "fees"));

/** The amount of the postings that Stripe holds for us. */
export const heldAtStripe = (postings: readonly Posting[]): number => sum(postings, "stripe");

function posting(id: string, time: Date, stripe: number, fee: number): Posting {
  return {
    _id: id,
    time,
    lines: [
      { account: "stripe", amount: stripe },
      { account: "fees", amount: negate(fee) },
      { account: "seller", amount: fee - stripe },
    ],
  };
}

/** The posting of a sale: the buyer's money was captured. */
export const salePosting = (id: string, time: Date, price: number, fee: number): Posting =>
  posting(id, time, price, fee);

interface Sold {
  price: number;
  fee: number;
  postings: readonly Posting[];
}

/**
 * The posting of money that leaves a sale (a refund or a dispute), or, with a negative amount, returns
 * to it. The fee changes in proportion to the price that is left, and is zero when nothing is left. A
 * bank may take more than is left; the seller bears the difference, because no fee is left for it.
 */
export function reversalPosting(id: string, time: Date, amount: number, sold: Sold): Posting {
  const { price, fee, postings } = sold;
  const remaining = BigInt(Math.max(heldAtStripe(postings) - amount, 0));
  const feeOfRemaining = Number(
    (BigInt(fee) * remaining * 2n + BigInt(price)) / (BigInt(price) * 2n),
  );
  return posting(id, time, negate(amount), feeOfRemaining - feesOf(postings));
}

// Balances are materialized from postings. The stored names `counted`, `countTime` and `n` are older
// than this code.

/** What a sale or a payout contributes to its seller's balance, in minor units. */
export interface Contribution {
  /** Not available yet: the event is to come, or the money may still be refunded. */
  held: number;
  available: number;
  paidOut: number;
  /** The number of payouts in any status. */
  payouts: number;
}

/** The contribution that the balance includes; `n` is its revision. */
export interface AppliedContribution extends Contribution {
  n: number;
}

/** The part of a sale or a payout from which balances are materialized. */
export interface BalanceSource {
  counted?: AppliedContribution | undefined;
  /** When its contribution is due to be applied; absent while it is up to date. */
  countTime?: Date | undefined;
}

export const contributionFields = {
  held: { type: Number, required: true },
  available: { type: Number, required: true },
  paidOut: { type: Number, required: true },
  payouts: { type: Number, required: true },
};

export const appliedContributionSchema = new Schema<AppliedContribution>(
  { ...contributionFields, n: { type: Number, required: true } },
  { _id: false },
);

export const NO_CONTRIBUTION: AppliedContribution = {
  held: 0,
  available: 0,
  paidOut: 0,
  payouts: 0,
  n: 0,
};
