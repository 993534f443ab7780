import { cardName, testCard } from "./cards.ts";
import { noSuch, refused } from "../objects/errors.ts";
import type { Metadata } from "../objects/base.ts";
import { newId, now, type PaymentMethod } from "../objects/objects.ts";
import type { Params } from "../requests/params.ts";
import type { Unit } from "../store/unit.ts";

/** The parameters that name or describe a payment method. */
export const payWith = {
  payment_method: "string",
  payment_method_data: { type: ["card"], card: { token: "string!" }, metadata: "metadata" },
} as const;

/** The payment method that the parameters name or describe, if there is one. */
export function methodFrom(unit: Unit, params: Params<typeof payWith>): PaymentMethod | undefined {
  const { payment_method: id, payment_method_data: data } = params;
  if (id !== undefined && data) {
    const message =
      "You may only specify one of these parameters: payment_method, payment_method_data.";
    throw refused(message, { code: "parameters_exclusive", param: "payment_method" });
  }
  if (data) return fromToken(unit, data.card?.token, data.metadata);
  if (id === undefined) return undefined;
  // As at Stripe, each use of a test ID creates a new card.
  const name = id.startsWith("pm_card_") ? cardName(id) : undefined;
  return name ? newMethod(unit, name) : unit.find("payment_method", id, "payment_method");
}

function fromToken(unit: Unit, token: string | undefined, metadata: Metadata = {}): PaymentMethod {
  const param = "payment_method_data[card][token]";
  if (token === undefined) {
    throw refused(`Missing required param: ${param}.`, { code: "parameter_missing", param });
  }
  const name = token.startsWith("tok_") ? cardName(token) : undefined;
  if (!name) throw noSuch("token", token, param);
  return newMethod(unit, name, metadata);
}

function newMethod(unit: Unit, name: string, metadata: Metadata = {}): PaymentMethod {
  const { brand, last4, funding = "credit" } = testCard(name);
  const exp_year = new Date().getFullYear() + 1;
  return unit.put({
    id: newId("pm"),
    object: "payment_method",
    card: { brand, exp_month: 12, exp_year, fingerprint: name, funding, last4 },
    created: now(),
    customer: null,
    livemode: false,
    metadata,
    type: "card",
  });
}
