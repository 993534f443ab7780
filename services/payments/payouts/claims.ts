import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ClaimKind, type ClaimSchema } from "@ticketing/proto/payments/v1/claim";
import { roundDownForStripe } from "#marketplace/stripe-amount.ts";
import { toMoney } from "#runtime/values/money.ts";
import { earningsOf, type EarningsDeps } from "../balances/earnings.ts";
import {
  CAPTURED_STATUSES,
  LIVE_STATUSES,
  refundedAmount,
  type PaymentFields,
} from "../payment.ts";
import type { Payout } from "../payout.ts";

export type ClaimDeps = EarningsDeps;
type Claim = MessageInitShape<typeof ClaimSchema>;
export type Claims = Claim[];

const about = ({ _id, order }: PaymentFields, amount = order.price) => ({
  orderId: _id,
  title: order.title,
  amount: toMoney({ amount, currency: order.currency }),
});

/** An open order. An order whose time is up expires by itself, unless it is being paid. */
function openOrder(payment: PaymentFields, userId: string, now: number): Claim[] {
  const { _id, order, attempts } = payment;
  const isOpen = order.status === "CREATED" || order.status === "AWAITING_PAYMENT";
  const isPaying = attempts.some(({ status }) => LIVE_STATUSES.includes(status));
  const isOver = order.status === "CREATED" && order.expiresAt.getTime() <= now && !isPaying;
  if (!isOpen || isOver) return [];
  const kind = order.userId === userId ? ClaimKind.ORDER : ClaimKind.SALE;
  return [
    { id: `order:${_id}`, kind, ...about(payment), time: timestampFromDate(order.expiresAt) },
  ];
}

/** A paid ticket that is unused: its event is to come, and its code was not revealed. */
function unusedTicket(payment: PaymentFields, now: number): Claim[] {
  const { _id, order, codeOpenTime } = payment;
  const begins = order.eventTime;
  const isUsed = codeOpenTime !== undefined || (begins && begins.getTime() <= now);
  if (order.status !== "COMPLETED" || isUsed) return [];
  const time = begins && { time: timestampFromDate(begins) };
  return [{ id: `ticket:${_id}`, kind: ClaimKind.TICKET, ...about(payment), ...time }];
}

/** Refunds that are due to the buyer: in progress, or of money captured for an ended order. */
function refundsDue(payment: PaymentFields): Claim[] {
  const { _id, order, attempts, refunds } = payment;
  const inProgress = refunds.filter(({ status }) => status === "REQUESTED" || status === "PENDING");
  const claims = inProgress.map((refund) => ({
    id: `refund:${refund._id}`,
    kind: ClaimKind.REFUND,
    ...about(payment, refund.amount),
  }));
  const isCaptured = attempts.some(({ status }) => CAPTURED_STATUSES.includes(status));
  if (claims.length > 0 || order.status !== "CANCELLED" || !isCaptured) return claims;
  const refundable = order.price - refundedAmount(payment);
  return [
    { id: `refund:${_id}:${refundable}`, kind: ClaimKind.REFUND, ...about(payment, refundable) },
  ];
}

/** Earnings that are not paid out, also those of a seller without an account. */
async function unpaid(deps: ClaimDeps, sellerId: string): Promise<Claim[]> {
  const earnings = await earningsOf(deps, sellerId);
  const owed = earnings.map(({ currency, held, available }) => ({
    currency,
    amount: roundDownForStripe({ amount: held + available, currency }),
  }));
  return owed
    .filter(({ amount }) => amount > 0)
    .map(({ currency, amount }) => ({
      id: `earnings:${currency}:${amount}`,
      kind: ClaimKind.EARNINGS,
      amount: toMoney({ amount, currency }),
    }));
}

/**
 * All that is due to a user now. Only payments knows this, because it decides about money and has a
 * replica of every order and of whether its code was revealed.
 */
export async function claimsOf(deps: ClaimDeps, userId: string): Promise<Claims> {
  const { payments, payouts } = deps;
  const now = deps.now();
  const open = { "order.status": { $in: ["CREATED" as const, "AWAITING_PAYMENT" as const] } };
  const [bought, selling, pending, earned] = await Promise.all([
    payments.find({ "order.userId": userId }, { outbox: 0 }).lean<PaymentFields[]>(),
    payments.find({ "order.sellerId": userId, ...open }, { outbox: 0 }).lean<PaymentFields[]>(),
    payouts.find({ sellerId: userId, status: "PENDING" }).lean<Payout[]>(),
    unpaid(deps, userId),
  ]);
  return [
    ...earned,
    ...pending.map(({ _id, ...sum }) => ({
      id: `payout:${_id}`,
      kind: ClaimKind.PAYOUT,
      amount: toMoney(sum),
    })),
    ...bought.flatMap((payment) => [
      ...openOrder(payment, userId, now),
      ...unusedTicket(payment, now),
      ...refundsDue(payment),
    ]),
    ...selling.flatMap((payment) => openOrder(payment, userId, now)),
  ];
}
