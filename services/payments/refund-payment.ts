import type { RefundPaymentRequest } from "@ticketing/proto/payments/v1/payment_service";
import { update } from "#runtime/aggregate.ts";
import type { Caller } from "#runtime/auth.ts";
import { DomainError, invalidField } from "#runtime/errors.ts";
import { toMovable } from "#runtime/money.ts";
import { mustBeSameRequest, type RequestMark } from "#runtime/request-id.ts";
import { newest, type Payment, type PaymentFields, type Refund } from "./payment.ts";
import {
  isDisputed,
  isKept,
  left,
  pendingRefund,
  refundInProgress,
  requestRefund,
} from "./refund.ts";
import type { SettleDeps } from "./settle-deps.ts";

const DAY_MS = 86_400_000;
/** So long after paying the buyer may still want the money back. */
const BUYER_MS = 30 * 60_000;

export interface RefundDeps extends SettleDeps {
  /** So many days the money for a ticket without a date is held before it is paid out. */
  holdDays: number;
}

export type Role = "ADMINISTRATOR" | "SELLER" | "BUYER";

/** As whom somebody may see a payment; a seller is concerned only by money that was taken. */
export function roleOf({ id, roles }: Caller, payment: PaymentFields): Role | undefined {
  const { order, captureTime } = payment;
  if (!newest(payment)) return undefined;
  if (roles.includes("administrator")) return "ADMINISTRATOR";
  if (order.userId === id) return "BUYER";
  return order.sellerId === id && captureTime ? "SELLER" : undefined;
}

export const noSuchPayment = (): DomainError =>
  new DomainError("PAYMENT_NOT_FOUND", "you have made no such payment");

function mustBeInTime(until: Date, now: number): void {
  if (now < until.getTime()) return;
  throw new DomainError("REFUND_TOO_LATE", "it is too late to give this back", {
    metadata: { until: until.toISOString() },
  });
}

/** Whether there is anything that can be given back now, whoever wants it. */
function mustBeFree(payment: PaymentFields, role: Role, isPart: boolean): void {
  if (isDisputed(payment)) {
    throw new DomainError("DISPUTED", "the buyer's bank has taken this money already");
  }
  if (role === "BUYER" || isPart ? refundInProgress(payment) : pendingRefund(payment)) {
    throw new DomainError(
      "REFUND_IN_PROGRESS",
      "money is going back already; see what comes of it",
    );
  }
  if (!isKept(payment)) {
    throw new DomainError("NOTHING_TO_REFUND", "there is no money to give back");
  }
}

/**
 * Until when its seller may give money back: until the event; where there is no date, as long as it is
 * held, because afterwards it would be given back out of what is not theirs.
 */
export const refundableUntil = (
  { order, captureTime }: Pick<PaymentFields, "order" | "captureTime">,
  holdDays: number,
): Date => order.eventTime ?? new Date((captureTime?.getTime() ?? 0) + holdDays * DAY_MS);

/** Whether somebody in this role may still have it given back. */
function mustBeAllowed(payment: PaymentFields, role: Role, now: number, holdDays: number): void {
  const { captureTime, codeOpenTime } = payment;
  if (role === "SELLER") mustBeInTime(refundableUntil(payment, holdDays), now);
  if (role !== "BUYER") return;
  if (codeOpenTime) throw new DomainError("CODE_OPENED", "the ticket's code was opened");
  mustBeInTime(new Date((captureTime?.getTime() ?? 0) + BUYER_MS), now);
}

/** How much, in minor units: all that is left, unless an administrator says so. */
function amountOf(payment: PaymentFields, role: Role, { amount }: RefundPaymentRequest): number {
  const most = left(payment);
  if (!amount) return most;
  if (role !== "ADMINISTRATOR") {
    throw new DomainError("NOT_ALLOWED", "only an administrator may give a part of it back");
  }
  const asked = toMovable(amount, "amount");
  if (asked.currency !== payment.order.currency) {
    throw invalidField("amount.currency_code", `this was paid in ${payment.order.currency}`);
  }
  if (asked.amount < 1) throw invalidField("amount", "must be more than nothing");
  if (asked.amount > most) throw invalidField("amount", "must be no more than is left");
  return asked.amount;
}

/** Begins to give money back, for whoever may; answers the payment, and the refund that was begun. */
export async function refundPayment(
  { payments, now, holdDays }: RefundDeps,
  caller: Caller,
  request: RefundPaymentRequest,
  mark: Partial<RequestMark>,
): Promise<{ payment: Payment; refund: Refund }> {
  const isMade = ({ requestId, userId }: Refund): boolean =>
    mark.requestId !== undefined && requestId === mark.requestId && userId === caller.id;
  let refund: Refund | undefined;
  const payment = await update(payments, request.orderId, (found) => {
    const role = roleOf(caller, found);
    if (!role) throw noSuchPayment();
    refund = found.refunds.find(isMade);
    if (refund) {
      mustBeSameRequest(refund, mark);
      return false;
    }
    mustBeFree(found, role, request.amount !== undefined);
    mustBeAllowed(found, role, now(), holdDays);
    const amount = amountOf(found, role, request);
    const begun = requestRefund(found, { reason: role, amount, userId: caller.id, ...mark }, now());
    if (begun) refund = found.refunds.at(-1);
    return begun;
  });
  if (!payment || !refund) throw noSuchPayment();
  return { payment, refund };
}
