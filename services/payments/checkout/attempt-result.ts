import { PaymentError } from "../errors.ts";
import { CAPTURED_STATUSES, type Attempt, type Payment } from "../payment.ts";
import { findAttempt } from "../payment.ts";
import { notReady } from "../stripe/client.ts";
import { ABANDONED, CANCELED } from "../stripe/outcome.ts";
import { mustBePayable } from "./payable.ts";

/** Failure codes of attempts that say nothing about the card. */
export const INCONCLUSIVE: ReadonlySet<string> = new Set([ABANDONED.code, CANCELED.code]);

/** The card was declined. The reason is hidden from a buyer who has tried too many cards. */
function throwDeclined({ declined, failureCode: code = "", terse }: Attempt): never {
  const metadata = terse ? {} : { code };
  if (declined) {
    const message = "the card was declined, and the order is cancelled";
    throw new PaymentError("PAYMENT_DECLINED", message, { metadata });
  }
  const message = "the card could not be used; check it and try again";
  throw new PaymentError("PAYMENT_METHOD_REFUSED", message, { metadata });
}

/** The result of an attempt: the same for the request that made it and for every repeat of it. */
export function resultOf(payment: Payment, attemptId: string, now: number): Payment {
  const attempt = findAttempt(payment, attemptId);
  const { status = "PENDING", failureCode = "" } = attempt ?? {};
  if (attempt && status === "FAILED" && !INCONCLUSIVE.has(failureCode)) throwDeclined(attempt);
  const wasCaptured = CAPTURED_STATUSES.includes(status) || status === "REFUNDED";
  if (payment.order.status === "CANCELLED" && !wasCaptured) mustBePayable(payment, now);
  if (!attempt || status !== "FAILED") return payment;
  if (failureCode === ABANDONED.code) throw notReady();
  return throwDeclined(attempt);
}
