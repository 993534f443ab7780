import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { RefundabilitySchema } from "@ticketing/proto/payments/v1/payment";
import { DomainError } from "#runtime/errors.ts";
import { PaymentError } from "../errors.ts";
import { toMoney } from "#runtime/values/money.ts";
import { newestAttempt, type PaymentFields } from "../payment.ts";
import {
  isDisputed,
  isCaptured,
  refundableAmount,
  pendingRefund,
  refundInProgress,
} from "./refund-state.ts";
import { DAY_MS, MINUTE_MS } from "#runtime/values/time.ts";

// Who may refund a payment, and until when. RefundPayment decides by this rule, and GetPayment and
// ListSales show its result.

/** For how long after the payment the buyer may request a refund. */
const BUYER_MS = 30 * MINUTE_MS;

export type Role = "ADMINISTRATOR" | "SELLER" | "BUYER";

type Times = Pick<PaymentFields, "order" | "captureTime">;

/**
 * Until when a role may refund a payment; undefined for an administrator, who may at any time. Without
 * an event date, the seller may as long as the money is held, because afterwards it is paid out. After
 * the event has begun, only an administrator may (R16).
 */
export function refundableUntil(
  { order: { eventTime }, captureTime }: Times,
  role: Role,
  holdDays: number,
): Date | undefined {
  if (role === "ADMINISTRATOR") return undefined;
  const taken = captureTime?.getTime() ?? 0;
  if (role === "SELLER") return eventTime ?? new Date(taken + holdDays * DAY_MS);
  return new Date(Math.min(taken + BUYER_MS, eventTime?.getTime() ?? Infinity));
}

/** Refuses a payment of which nothing can be refunded now, in any role. */
function mustHaveRefundableMoney(payment: PaymentFields, role: Role, isPart: boolean): void {
  if (isDisputed(payment)) {
    throw new PaymentError("DISPUTED", "the buyer's bank has taken this money already");
  }
  if (role === "BUYER" || isPart ? refundInProgress(payment) : pendingRefund(payment)) {
    throw new PaymentError(
      "REFUND_IN_PROGRESS",
      "a refund is in progress already; wait for its result",
    );
  }
  if (!isCaptured(payment)) {
    throw new PaymentError("NOTHING_TO_REFUND", "there is no money to refund");
  }
}

/** Refuses a refund that this role may not request now. */
export function mustBeRefundable(
  payment: PaymentFields,
  role: Role,
  { isPart = false, now, holdDays }: { isPart?: boolean; now: number; holdDays: number },
): void {
  mustHaveRefundableMoney(payment, role, isPart);
  if (role === "BUYER" && payment.codeOpenTime) {
    throw new PaymentError("CODE_OPENED", "the ticket's code was opened");
  }
  const until = refundableUntil(payment, role, holdDays);
  if (!until || now < until.getTime()) return;
  throw new PaymentError("REFUND_TOO_LATE", "it is too late to refund this", {
    metadata: { until: until.toISOString() },
  });
}

/** What RefundPayment would answer a caller in this role. */
export function refundability(
  payment: PaymentFields,
  role: Role,
  at: { now: number; holdDays: number },
): MessageInitShape<typeof RefundabilitySchema> {
  const until = refundableUntil(payment, role, at.holdDays);
  const isTaken = newestAttempt(payment) && payment.captureTime;
  const shown = until && isTaken ? { until: timestampFromDate(until) } : {};
  try {
    mustBeRefundable(payment, role, at);
  } catch (error) {
    if (error instanceof DomainError) return { ...shown, refused: error.reason };
    throw error;
  }
  const { currency } = payment.order;
  return { ...shown, amount: toMoney({ amount: refundableAmount(payment), currency }) };
}
