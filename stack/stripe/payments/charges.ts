import { book } from "./balance.ts";
import { type Decline, testCard } from "./cards.ts";
import { refused } from "../objects/errors.ts";
import { type Charge, type Intent, newId, now, type PaymentMethod } from "../objects/objects.ts";
import type { Unit } from "../store/unit.ts";

/** How long an authorization lasts: seven days for most cards. */
const AUTHORIZATION_SECONDS = 7 * 24 * 60 * 60;

/** Charges the card of a confirmed intent: a decline shows in its `last_payment_error`. */
export function tryCharge(unit: Unit, intent: Intent, method: PaymentMethod): Intent {
  const { decline } = testCard(method.card.fingerprint);
  return decline ? fail(unit, intent, method, decline) : succeed(unit, intent, method);
}

function succeed(unit: Unit, intent: Intent, method: PaymentMethod): Intent {
  const reserved = intent.capture_method === "manual";
  const amount_captured = reserved ? 0 : intent.amount;
  const bare = newCharge(intent, method);
  const capture_before = now() + AUTHORIZATION_SECONDS;
  const charge = unit.put<Charge>({
    ...bare,
    amount_captured,
    balance_transaction: reserved ? null : book(unit, "charge", amount_captured, bare).id,
    captured: !reserved,
    paid: true,
    payment_method_details: {
      type: "card",
      card: reserved ? { ...method.card, capture_before } : method.card,
    },
    status: "succeeded",
  });
  unit.announce("charge.succeeded", charge);
  const paid = unit.put<Intent>({
    ...intent,
    amount_capturable: reserved ? intent.amount : 0,
    amount_received: amount_captured,
    latest_charge: charge.id,
    status: reserved ? "requires_capture" : "succeeded",
  });
  const what = reserved ? "amount_capturable_updated" : "succeeded";
  unit.announce(`payment_intent.${what}`, paid);
  return paid;
}

function fail(unit: Unit, intent: Intent, method: PaymentMethod, decline: Decline): Intent {
  const charge = unit.put<Charge>({
    ...newCharge(intent, method),
    failure_code: decline.code,
    failure_message: decline.message,
  });
  unit.announce("charge.failed", charge);
  const failed = unit.put<Intent>({
    ...intent,
    last_payment_error: {
      type: "card_error",
      ...decline,
      charge: charge.id,
      payment_method: method,
    },
    latest_charge: charge.id,
    payment_method: null, // After a decline the buyer enters a card again.
    status: "requires_payment_method",
  });
  unit.announce("payment_intent.payment_failed", failed);
  return failed;
}

function newCharge(intent: Intent, method: PaymentMethod): Charge {
  return {
    id: newId("ch"),
    object: "charge",
    amount: intent.amount,
    amount_captured: 0,
    amount_refunded: 0,
    balance_transaction: null,
    captured: false,
    created: now(),
    currency: intent.currency,
    description: intent.description,
    disputed: false,
    failure_code: null,
    failure_message: null,
    livemode: false,
    metadata: intent.metadata,
    paid: false,
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: { type: "card", card: method.card },
    receipt_email: intent.receipt_email,
    refunded: false,
    status: "failed",
  };
}

/** Captures an authorization, or a part of it. */
export function capture(unit: Unit, intent: Intent, amount: number): void {
  const charge = latest(unit, intent);
  const captured = unit.put<Charge>({
    ...charge,
    amount_captured: amount,
    balance_transaction: book(unit, "charge", amount, charge).id,
    captured: true,
  });
  unit.announce("charge.captured", captured);
}

/** Releases an authorization. Stripe records it as a refund, although no money was captured. */
export function voidCharge(unit: Unit, intent: Intent, event = "charge.refunded"): void {
  const charge = latest(unit, intent);
  const released = unit.put({ ...charge, amount_refunded: charge.amount, refunded: true });
  unit.announce(event, released);
}

/** The latest charge of a PaymentIntent, successful or not. */
export function latest(unit: Unit, intent: Intent): Charge {
  return unit.find("charge", intent.latest_charge ?? "", "latest_charge");
}

/** The captured charge that the parameters name, by its ID or by its PaymentIntent. */
export function chargeOf(
  unit: Unit,
  named: { charge?: string | undefined; payment_intent?: string | undefined },
): Charge {
  const { charge: chargeId, payment_intent: intentId } = named;
  if (chargeId !== undefined && intentId !== undefined) {
    const message = "You may only specify one of these parameters: charge, payment_intent.";
    throw refused(message, { code: "parameters_exclusive", param: "charge" });
  }
  if (chargeId === undefined && intentId === undefined) {
    const message = "One of the following params should be provided: payment_intent or charge.";
    throw refused(message, { code: "parameter_missing" });
  }
  const intent = intentId ? unit.find("payment_intent", intentId, "payment_intent") : undefined;
  const id = chargeId ?? intent?.latest_charge;
  const charge = id ? unit.find("charge", id, "charge") : undefined;
  if (charge?.captured) return charge;
  const of = intentId ?? charge?.payment_intent;
  throw refused(`This PaymentIntent (${of}) does not have a successful charge to refund.`);
}
