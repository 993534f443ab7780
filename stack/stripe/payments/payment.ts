import { testCard } from "./cards.ts";
import { tryCharge } from "./charges.ts";
import { refused, StripeError } from "../objects/errors.ts";
import type { Intent, PaymentMethod } from "../objects/objects.ts";
import { unexpected } from "./steps.ts";
import type { Unit } from "../store/unit.ts";

/** Charges the card, or starts 3-D Secure. The card is charged, authorized or declined. */
export function pay(
  unit: Unit,
  intent: Intent,
  method: PaymentMethod | null | undefined,
  returnUrl: string | undefined,
  base: string,
): Intent {
  if (!method) {
    const message =
      "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.";
    throw unexpected(message, intent);
  }
  if (intent.automatic_payment_methods?.allow_redirects === "always" && !returnUrl) {
    const message =
      "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.";
    throw refused(message, { param: "return_url" });
  }
  const fresh = { ...intent, payment_method: method.id, last_payment_error: null };
  if (testCard(method.card.fingerprint).challenge) return ask(unit, fresh, returnUrl, base);
  const paid = tryCharge(unit, { ...fresh, next_action: null }, method);
  const error = paid.last_payment_error;
  if (error) throw new StripeError(402, { ...error, payment_intent: paid }, "declined");
  return paid;
}

/** Starts 3-D Secure: the card is charged only after the buyer has submitted the page of the bank. */
function ask(unit: Unit, intent: Intent, returnUrl: string | undefined, base: string): Intent {
  const { id, created } = intent;
  unit.put({ id, object: "challenge", created, return_url: returnUrl ?? null });
  const url = `${base}/challenge/${intent.id}?client_secret=${intent.client_secret}`;
  const asked = unit.put<Intent>({
    ...intent,
    next_action: returnUrl
      ? { type: "redirect_to_url", redirect_to_url: { return_url: returnUrl, url } }
      : {
          type: "use_stripe_sdk",
          use_stripe_sdk: { type: "three_d_secure_redirect", stripe_js: url },
        },
    status: "requires_action",
  });
  unit.announce("payment_intent.requires_action", asked);
  return asked;
}

/** Completes or fails 3-D Secure. The card is charged only if the buyer passed. */
export function answerChallenge(unit: Unit, intent: Intent, passed: boolean): Intent {
  if (intent.status !== "requires_action" || !intent.payment_method) return intent;
  const method = unit.find("payment_method", intent.payment_method, "payment_method");
  if (passed) return tryCharge(unit, { ...intent, next_action: null }, method);
  const message =
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again.";
  const code = "payment_intent_authentication_failure";
  const failed = unit.put<Intent>({
    ...intent,
    last_payment_error: { type: "invalid_request_error", code, message, payment_method: method },
    next_action: null,
    payment_method: null,
    status: "requires_payment_method",
  });
  unit.announce("payment_intent.payment_failed", failed);
  return failed;
}
