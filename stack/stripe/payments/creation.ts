import { chargeable } from "./currencies.ts";
import { invalid, refused } from "../objects/errors.ts";
import { methodFrom, payWith } from "./methods.ts";
import { type Intent, newId, now } from "../objects/objects.ts";
import type { Params } from "../requests/params.ts";
import { pay } from "./payment.ts";
import type { Unit } from "../store/unit.ts";

/** The parameters of a creation. */
export const createParams = {
  amount: "integer!",
  currency: "string!",
  automatic_payment_methods: { allow_redirects: ["always", "never"], enabled: "boolean!" },
  capture_method: ["automatic", "automatic_async", "manual"],
  confirm: "boolean",
  description: "string",
  metadata: "metadata",
  allowed_payment_method_types: "strings",
  receipt_email: "string",
  return_url: "url",
  ...payWith,
} as const;

/** Creates a PaymentIntent, and confirms it if `confirm` is set. */
export function create(unit: Unit, params: Params<typeof createParams>, base: string): Intent {
  const currency = params.currency.toLowerCase();
  chargeable(params.amount, currency);
  if (params.return_url !== undefined && !params.confirm) {
    const message =
      "The parameter `return_url` cannot be passed when creating a PaymentIntent unless `confirm` is set to true.";
    throw invalid(message, { param: "return_url" });
  }
  const method = methodFrom(unit, params);
  const id = newId("pi");
  const intent = unit.put<Intent>({
    id,
    object: "payment_intent",
    amount: params.amount,
    amount_capturable: 0,
    amount_received: 0,
    automatic_payment_methods: automatic(params),
    canceled_at: null,
    cancellation_reason: null,
    capture_method: params.capture_method ?? "automatic_async",
    client_secret: `${id}_${newId("secret")}`,
    confirmation_method: "automatic",
    created: now(),
    currency,
    customer: null,
    description: params.description ?? null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    metadata: params.metadata ?? {},
    next_action: null,
    payment_method: method?.id ?? null,
    allowed_payment_method_types: params.allowed_payment_method_types ?? null,
    payment_method_types: types(params),
    receipt_email: params.receipt_email ?? null,
    status: method ? "requires_confirmation" : "requires_payment_method",
  });
  unit.announce("payment_intent.created", intent);
  return params.confirm ? pay(unit, intent, method, params.return_url, base) : intent;
}

function types({
  allowed_payment_method_types: given,
  automatic_payment_methods: auto,
}: AllowedMethods) {
  if (given && auto) {
    const message =
      "You may only specify one of these parameters: automatic_payment_methods, allowed_payment_method_types.";
    throw refused(message, { code: "parameters_exclusive", param: "automatic_payment_methods" });
  }
  const unknown = given?.find((type) => type !== "card");
  if (unknown === undefined) return ["card"];
  const message = `The payment method type "${unknown}" is invalid.`;
  throw refused(message, { param: "allowed_payment_method_types" });
}

/** Stripe chooses the payment methods itself unless the request lists them. */
function automatic({
  allowed_payment_method_types,
  automatic_payment_methods: auto,
}: AllowedMethods) {
  if (allowed_payment_method_types || auto?.enabled === false) return null;
  return { allow_redirects: auto?.allow_redirects ?? "always", enabled: true };
}

type AllowedMethods = Pick<
  Params<typeof createParams>,
  "allowed_payment_method_types" | "automatic_payment_methods"
>;
