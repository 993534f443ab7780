import type {
  DisputeStatus,
  PaymentStatus,
  RefundReason,
  RefundStatus,
} from "@ticketing/proto/payments/v1/payment";
import type { HydratedDocument } from "mongoose";
import type { AggregateFields, AggregateModel } from "#runtime/store/aggregate.ts";
import type { IdempotencyKey } from "#runtime/store/request-id.ts";
import type { BalanceSource } from "./ledger.ts";
import type { Posting } from "./ledger.ts";

type Word<E> = Exclude<keyof E, "UNSPECIFIED">;

export type AttemptStatus = Word<typeof PaymentStatus>;

/** When a payment may be polled again, and the version of the payment at the last poll. */
export interface Poll {
  time: Date;
  version: number;
}

/** One attempt to charge the buyer, stored before Stripe is called, so that a crash loses none. */
export interface Attempt extends Partial<IdempotencyKey> {
  _id: string;
  status: AttemptStatus;
  stripeId?: string | undefined;
  failureCode?: string | undefined;
  /** A hard decline, which ends the order (R61). */
  declined?: boolean | undefined;
  /** The buyer has tried too many cards, so the reason of this decline is hidden. */
  terse?: boolean | undefined;
  createTime: Date;
}

/** A requested or completed refund, stored before Stripe is called, so that a crash loses none. */
export interface Refund extends Partial<IdempotencyKey> {
  _id: string;
  amount: number;
  reason: Word<typeof RefundReason>;
  status: Word<typeof RefundStatus>;
  /** The user who requested it; empty if it was not requested through this service. */
  userId: string;
  stripeId?: string | undefined;
  /** The number of errors of Stripe's own. Part of the idempotency key, under which Stripe repeats an error. */
  faults: number;
  createTime: Date;
  updateTime: Date;
}

/** A chargeback: the buyer's bank takes the money back. */
export interface Dispute {
  /** Stripe's id. */
  _id: string;
  amount: number;
  status: Word<typeof DisputeStatus>;
}

/** Our replica of the order, updated by events. */
export interface OrderReplica {
  userId: string;
  sellerId: string;
  ticketId: string;
  title: string;
  price: number;
  currency: string;
  expiresAt: Date;
  eventTime?: Date | undefined;
  /** The IANA name of the time zone that the event time is shown in; absent if it is unknown. */
  timeZone?: string | undefined;
  /** Where the event takes place; empty if the seller gave none, absent in old replicas. */
  venue?: string | undefined;
  status: "CREATED" | "AWAITING_PAYMENT" | "COMPLETED" | "CANCELLED";
  expired: boolean;
  /** The attempt that the order accepted. */
  attemptId: string;
  version: number;
}

/** The payment of an order. Its id is the order's id, so that an order has at most one. */
export interface PaymentFields extends AggregateFields, BalanceSource {
  order: OrderReplica;
  attempts: Attempt[];
  refunds: Refund[];
  dispute?: Dispute | undefined;
  /** When the money was captured. */
  captureTime?: Date | undefined;
  /** Our fee, in minor units; fixed when the money is captured. */
  fee: number;
  /** When the ticket's code was revealed to the buyer. */
  codeOpenTime?: Date | undefined;
  postings: Posting[];
  /** When the payment may be polled again; see `poll-claim.ts`. */
  poll?: Poll | undefined;
}

export type Payments = AggregateModel<PaymentFields>;

export type Payment = HydratedDocument<PaymentFields>;

/** The statuses in which an attempt may still capture money. */
export const LIVE_STATUSES: readonly AttemptStatus[] = ["PENDING", "REQUIRES_ACTION", "AUTHORIZED"];

/** The statuses of an attempt whose money was captured and not fully refunded. */
export const CAPTURED_STATUSES: readonly AttemptStatus[] = ["CAPTURED", "PARTLY_REFUNDED"];

/**
 * Selects the payments that are not in their final state: an attempt may still capture money, or has
 * captured money that must be refunded, or a refund is in progress.
 */
export const UNSETTLED = {
  $or: [
    { "attempts.status": { $in: LIVE_STATUSES } },
    // While an order awaits its payment, another attempt than the accepted one may have captured it.
    {
      "attempts.status": { $in: CAPTURED_STATUSES },
      "order.status": { $in: ["CANCELLED" as const, "AWAITING_PAYMENT" as const] },
    },
    { "refunds.status": { $in: ["REQUESTED" as const, "PENDING" as const] } },
  ],
};

export const newestAttempt = (payment: PaymentFields): Attempt | undefined =>
  payment.attempts.at(-1);

export const findAttempt = ({ attempts }: PaymentFields, id: string): Attempt | undefined =>
  attempts.find(({ _id }) => _id === id);

/** Whether an attempt must not capture money: its order has ended, or has accepted another attempt. */
export const isSuperfluous = ({ order }: PaymentFields, attemptId: string): boolean =>
  order.status === "CANCELLED" ||
  (order.status !== "CREATED" && order.attemptId !== "" && order.attemptId !== attemptId);

/** Whether the result of the newest attempt is still unknown. */
export function isOpen(payment: PaymentFields): boolean {
  const status = newestAttempt(payment)?.status;
  return status === "PENDING" || status === "REQUIRES_ACTION";
}

/** The amount that has been refunded so far. */
export const refundedAmount = ({ refunds }: PaymentFields): number =>
  refunds.reduce((sum, { status, amount }) => (status === "SUCCEEDED" ? sum + amount : sum), 0);

/** Selects the payments whose money was captured. */
export const WAS_CAPTURED = { captureTime: { $gt: new Date(0) } };
