import { capture as captureCharge, latest, voidCharge } from "./charges.ts";
import { movable } from "./currencies.ts";
import { refused } from "../objects/errors.ts";
import { methodFrom, payWith } from "./methods.ts";
import { type Intent, now } from "../objects/objects.ts";
import type { Params } from "../requests/params.ts";
import { pay } from "./payment.ts";
import { mayTake, unexpected } from "./steps.ts";
import type { Unit } from "../store/unit.ts";

/** The parameters of a confirmation. */
export const confirmParams = { receipt_email: "string", return_url: "url", ...payWith } as const;

/** The parameters of a capture. */
export const captureParams = { amount_to_capture: "integer", metadata: "metadata" } as const;

/** The parameters of a cancellation. */
export const cancelParams = {
  cancellation_reason: ["duplicate", "fraudulent", "requested_by_customer", "abandoned"],
} as const;

/** Confirms a PaymentIntent: charges the card, or authorizes it for manual capture. */
export function confirm(
  unit: Unit,
  intent: Intent,
  params: Params<typeof confirmParams>,
  base: string,
): Intent {
  mayTake("confirm", intent);
  const kept = intent.payment_method;
  const method =
    methodFrom(unit, params) ?? (kept ? unit.find("payment_method", kept, "payment_method") : null);
  const receipt_email = params.receipt_email ?? intent.receipt_email;
  return pay(unit, { ...intent, receipt_email }, method, params.return_url, base);
}

/** Captures an authorization, or a part of it. The rest is released. */
export function capture(unit: Unit, intent: Intent, params: Params<typeof captureParams>): Intent {
  if (intent.status === "succeeded") {
    const message =
      "This PaymentIntent could not be captured because it has already been captured.";
    throw unexpected(message, intent);
  }
  mayTake("capture", intent);
  const amount = params.amount_to_capture ?? intent.amount_capturable;
  movable(amount, intent.currency, "amount_to_capture");
  if (amount > intent.amount_capturable) {
    const message =
      "The payment could not be captured because the requested capture amount is greater than the amount you can capture for this charge.";
    throw refused(message, { code: "amount_too_large", param: "amount_to_capture" });
  }
  captureCharge(unit, intent, amount);
  const captured = unit.put<Intent>({
    ...intent,
    amount_capturable: 0,
    amount_received: amount,
    metadata: { ...intent.metadata, ...params.metadata },
    status: "succeeded",
  });
  unit.announce("payment_intent.succeeded", captured);
  return captured;
}

/** Cancels a PaymentIntent, and releases its authorization. */
export function cancel(unit: Unit, intent: Intent, params: Params<typeof cancelParams>): Intent {
  mayTake("cancel", intent);
  if (intent.status === "requires_capture") voidCharge(unit, intent);
  return end(unit, intent, params.cancellation_reason ?? null);
}

/** Expires an authorization that was not captured in time. */
export function expire(unit: Unit, intent: Intent): Intent {
  mayTake("capture", intent);
  voidCharge(unit, intent, "charge.expired");
  return end(unit, intent, "automatic");
}

/** Whether the time to capture an authorization has passed. */
export function overdue(unit: Unit, intent: Intent): boolean {
  if (intent.status !== "requires_capture") return false;
  const { capture_before = Infinity } = latest(unit, intent).payment_method_details.card;
  return capture_before <= now();
}

function end(unit: Unit, intent: Intent, cancellation_reason: string | null): Intent {
  const canceled = unit.put<Intent>({
    ...intent,
    amount_capturable: 0,
    canceled_at: now(),
    cancellation_reason,
    next_action: null,
    status: "canceled",
  });
  unit.announce("payment_intent.canceled", canceled);
  return canceled;
}
