import { refused, type StripeError } from "../objects/errors.ts";
import type { Intent, Status } from "../objects/objects.ts";

/** The state machine: the statuses in which each step is allowed, and the texts of its error. */
const steps = {
  confirm: {
    from: ["requires_payment_method", "requires_confirmation", "requires_action"],
    refusal: "You cannot confirm this PaymentIntent because it has",
    done: "confirmed",
  },
  capture: {
    from: ["requires_capture"],
    refusal: "This PaymentIntent could not be captured because it has",
    done: "captured",
  },
  cancel: {
    from: [
      "requires_payment_method",
      "requires_capture",
      "requires_confirmation",
      "requires_action",
      "processing",
    ],
    refusal: "You cannot cancel this PaymentIntent because it has",
    done: "canceled",
  },
} as const satisfies Record<string, { from: readonly Status[]; refusal: string; done: string }>;

/** Rejects a step that the status of the PaymentIntent does not allow. */
export function mayTake(step: keyof typeof steps, intent: Intent): void {
  const { from, refusal, done } = steps[step];
  if ((from as readonly Status[]).includes(intent.status)) return;
  const only = `Only a PaymentIntent with one of the following statuses may be ${done}: ${from.join(", ")}.`;
  throw unexpected(`${refusal} a status of ${intent.status}. ${only}`, intent);
}

/** The error for a step that the status does not allow. It contains the PaymentIntent. */
export function unexpected(message: string, intent: Intent): StripeError {
  return refused(message, { code: "payment_intent_unexpected_state", payment_intent: intent });
}
