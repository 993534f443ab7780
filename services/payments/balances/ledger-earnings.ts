import { EVENT_MS } from "./availability.ts";
import { DAY_MS } from "#runtime/values/time.ts";
import { type Earnings, type EarningsDeps } from "./earnings.ts";

interface Sold {
  _id: { currency: string; over: boolean };
  owed: number;
}

/** The amounts that the sales owe to the seller, by currency and whether they are available. */
const salesTotals = (
  { payments, now, holdDays }: EarningsDeps,
  sellerId: string,
): Promise<Sold[]> => {
  const afterEvent = { $add: ["$order.eventTime", EVENT_MS] }; // Null without a date.
  const available = { $ifNull: [afterEvent, { $add: ["$captureTime", holdDays * DAY_MS] }] };
  const inProgress = { $setIntersection: ["$refunds.status", ["REQUESTED", "PENDING"]] };
  const waits = [{ $eq: ["$order.status", "CANCELLED"] }, { $ne: [inProgress, []] }];
  const over = { $and: [{ $lte: [available, new Date(now())] }, { $not: [{ $or: waits }] }] };
  return payments.aggregate<Sold>([
    { $match: { "order.sellerId": sellerId, captureTime: { $gt: new Date(0) } } },
    { $unwind: "$postings" },
    { $unwind: "$postings.lines" },
    { $match: { "postings.lines.account": "seller" } },
    {
      $group: {
        _id: { id: "$_id", currency: "$order.currency", over },
        owed: { $sum: { $subtract: [0, "$postings.lines.amount"] } },
      },
    },
    // A debt of the seller from one sale is deducted from the other sales at once.
    {
      $group: {
        _id: { currency: "$_id.currency", over: { $or: ["$_id.over", { $lt: ["$owed", 0] }] } },
        owed: { $sum: "$owed" },
      },
    },
  ]);
};

interface Paid {
  _id: string;
  count: number;
  paid: number;
}

/** The paid out amounts and the numbers of payouts, by currency. */
const payoutTotals = ({ payouts }: EarningsDeps, sellerId: string): Promise<Paid[]> =>
  payouts.aggregate<Paid>([
    { $match: { sellerId } },
    { $unwind: "$postings" },
    { $unwind: "$postings.lines" },
    { $match: { "postings.lines.account": "seller" } },
    {
      $group: {
        _id: "$_id",
        currency: { $first: "$currency" },
        paid: { $sum: "$postings.lines.amount" },
      },
    },
    { $group: { _id: "$currency", count: { $sum: 1 }, paid: { $sum: "$paid" } } },
  ]);

/**
 * The earnings of a seller computed from the whole ledger, sorted by currency. The materialized balances
 * must be equal to them.
 */
export async function earningsInLedger(deps: EarningsDeps, sellerId: string): Promise<Earnings[]> {
  const payouts = await payoutTotals(deps, sellerId);
  const sales = await salesTotals(deps, sellerId);
  const currencies = [...new Set(sales.map(({ _id }) => _id.currency))].sort();
  return currencies.map((currency) => {
    const owed = (over: boolean): number =>
      sales.find(({ _id }) => _id.currency === currency && _id.over === over)?.owed ?? 0;
    const { count = 0, paid: paidOut = 0 } = payouts.find(({ _id }) => _id === currency) ?? {};
    return {
      currency,
      paidOut,
      payouts: count,
      held: owed(false),
      available: owed(true) - paidOut,
    };
  });
}
