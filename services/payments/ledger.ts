import { Schema } from "mongoose";

// Whose money it is. Every movement is written twice, as lines that sum to zero: what one account
// gets, others give. Lines stand in the document that they follow from (a payment, a payout), and are
// saved in the same write as what happened, so that neither can be there without the other.

/** Money in or out of one account, in minor units: what Stripe holds for us counts up, what we owe down. */
export interface Line {
  account: "stripe" | "fees" | "seller";
  amount: number;
}

/** One movement; its id says what it follows from, so it is written once. */
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

/** What is kept of a price: `bps` hundredths of a per cent of it, to the nearest minor unit. */
export const feeOf = (price: number, bps: number): number =>
  Number((BigInt(price) * BigInt(bps) * 2n + 10_000n) / 20_000n);

const sum = (postings: readonly Posting[], account: Line["account"]): number =>
  postings
    .flatMap(({ lines }) => lines)
    .reduce((total, line) => (line.account === account ? total + line.amount : total), 0);

/** What the postings leave to the seller. */
export const owedToSeller = (postings: readonly Posting[]): number => 0 - sum(postings, "seller");

/** What the postings leave to us. */
export const feesOf = (postings: readonly Posting[]): number => 0 - sum(postings, "fees");

/** What Stripe holds of it. */
export const heldAtStripe = (postings: readonly Posting[]): number => sum(postings, "stripe");

function posting(id: string, time: Date, stripe: number, fee: number): Posting {
  return {
    _id: id,
    time,
    lines: [
      { account: "stripe", amount: stripe },
      { account: "fees", amount: 0 - fee },
      { account: "seller", amount: fee - stripe },
    ],
  };
}

/** A sale: the buyer's money came. */
export const salePosting = (id: string, time: Date, price: number, fee: number): Posting =>
  posting(id, time, price, fee);

interface Sold {
  price: number;
  fee: number;
  postings: readonly Posting[];
}

/**
 * A part of a sale's money goes back, or, where `amount` is less than nothing, comes again. The fee
 * follows it: what is left of the fee is always the same part of it as what is left of the price, and
 * nothing of either is left when all is back. A bank may take more than there is left; that is the
 * seller's to bear, for there is no fee to give up for it.
 */
export function reversalPosting(id: string, time: Date, amount: number, sold: Sold): Posting {
  const { price, fee, postings } = sold;
  const left = heldAtStripe(postings) - amount;
  const part = BigInt(Math.max(left, 0));
  const feeLeft = Number((BigInt(fee) * part * 2n + BigInt(price)) / (BigInt(price) * 2n));
  return posting(id, time, 0 - amount, feeLeft - feesOf(postings));
}
