import { money, positive } from "./currencies.ts";
import { refused } from "./errors.ts";
import { type Charge, newId, now, type Refund } from "./objects.ts";
import type { Params } from "./params.ts";
import type { Unit } from "./unit.ts";

/** The parameters of a refund. */
export const refundParams = {
  amount: "integer",
  charge: "string",
  metadata: "metadata",
  payment_intent: "string",
  reason: ["duplicate", "fraudulent", "requested_by_customer"],
} as const;

/** Gives back what was captured, or a part of it, never more than is left. */
export function refund(unit: Unit, params: Params<typeof refundParams>): Refund {
  const charge = chargeOf(unit, params);
  const left = charge.amount_captured - charge.amount_refunded;
  if (left === 0) {
    const message = `Charge ${charge.id} has already been refunded.`;
    throw refused(message, { code: "charge_already_refunded" });
  }
  const amount = params.amount ?? left;
  positive(amount, "amount");
  if (amount > left) {
    const [asked, rest] = [money(amount, charge.currency), money(left, charge.currency)];
    const message = `Refund amount (${asked}) is greater than unrefunded amount on charge (${rest})`;
    throw refused(message, { param: "amount" });
  }
  const made = unit.put<Refund>({
    id: newId("re"),
    object: "refund",
    amount,
    charge: charge.id,
    created: now(),
    currency: charge.currency,
    metadata: params.metadata ?? {},
    payment_intent: charge.payment_intent,
    reason: params.reason ?? null,
    status: "succeeded",
  });
  const amount_refunded = charge.amount_refunded + amount;
  const reduced = unit.put<Charge>({ ...charge, amount_refunded, refunded: amount === left });
  unit.announce("charge.refunded", reduced);
  unit.announce("refund.created", made);
  return made;
}

function chargeOf(unit: Unit, params: Params<typeof refundParams>): Charge {
  const { charge: chargeId, payment_intent: intentId } = params;
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
