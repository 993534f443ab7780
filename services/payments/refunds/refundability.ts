import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { RefundabilitySchema } from "@ticketing/proto/payments/v1/payment";
import { DomainError } from "#runtime/errors.ts";
import { PaymentError } from "../errors.ts";
import { toMoney } from "#runtime/money.ts";
import { newestAttempt, type PaymentFields } from "../payment.ts";
import {
  isDisputed,
  isCaptured,
  refundableAmount,
  pendingRefund,
  refundInProgress,
} from "./refund.ts";

// Who may have money given back, and until when: one rule for everybody, by which RefundPayment
// decides and which GetPayment and ListSales show.

const DAY_MS = 86_400_000;
/** So long after paying the buyer may still want the money back. */
const BUYER_MS = 30 * 60_000;

export type Role = "ADMINISTRATOR" | "SELLER" | "BUYER";

type Times = Pick<PaymentFields, "order" | "captureTime">;

/**
 * Until when somebody in this role may have it given back; nothing where that is at any time. Where
 * there is no date, the seller may as long as the money is held: afterwards it would be given back out
 * of what is not theirs. Nobody but an administrator may once the event has begun (R16).
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

/** Whether there is anything that can be given back now, whoever wants it. */
function mustBeFree(payment: PaymentFields, role: Role, isPart: boolean): void {
  if (isDisputed(payment)) {
    throw new PaymentError("DISPUTED", "the buyer's bank has taken this money already");
  }
  if (role === "BUYER" || isPart ? refundInProgress(payment) : pendingRefund(payment)) {
    throw new PaymentError(
      "REFUND_IN_PROGRESS",
      "money is going back already; see what comes of it",
    );
  }
  if (!isCaptured(payment)) {
    throw new PaymentError("NOTHING_TO_REFUND", "there is no money to give back");
  }
}

/** Refuses what somebody in this role may not have given back at this moment. */
export function mustBeRefundable(
  payment: PaymentFields,
  role: Role,
  { isPart = false, now, holdDays }: { isPart?: boolean; now: number; holdDays: number },
): void {
  mustBeFree(payment, role, isPart);
  if (role === "BUYER" && payment.codeOpenTime) {
    throw new PaymentError("CODE_OPENED", "the ticket's code was opened");
  }
  const until = refundableUntil(payment, role, holdDays);
  if (!until || now < until.getTime()) return;
  throw new PaymentError("REFUND_TOO_LATE", "it is too late to give this back", {
    metadata: { until: until.toISOString() },
  });
}

/** What RefundPayment would answer somebody in this role, for their page. */
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
