import Stripe from "stripe";
import { ABANDONED, outcomeOf, type Outcome } from "./outcome.ts";
import type { PaymentFields } from "../payment.ts";

/** Errors with which Stripe rejects our request, and not the card. */
const requestErrors = [
  Stripe.errors.StripeAuthenticationError,
  Stripe.errors.StripeInvalidRequestError,
  Stripe.errors.StripePermissionError,
];

/** Whether Stripe rejects our request, so that an operator must act. */
export const isOurMistake = (error: unknown): boolean =>
  requestErrors.some((mistake) => error instanceof mistake);

/** What an error of Stripe's says about the card; `ABANDONED` if it says nothing about it. */
export function outcomeFrom(error: unknown): Outcome {
  if (error instanceof Stripe.errors.StripeCardError) {
    return outcomeOf(error.code, error.decline_code);
  }
  if (!(error instanceof Stripe.errors.StripeInvalidRequestError)) return ABANDONED;
  const { param, code } = error;
  const isAboutTheCard = /^(payment_method|token)/.test(param ?? code ?? "payment_method");
  return isAboutTheCard ? { kind: "soft_decline", code: code ?? "invalid_request" } : ABANDONED;
}

interface IntentDeps {
  stripe: Stripe;
  /** The payment method types that buyers may use, by Stripe's names. */
  methodTypes: string[];
}

const paymentMethodOf = (token: string): Partial<Stripe.PaymentIntentCreateParams> =>
  token.startsWith("tok_")
    ? { payment_method_data: { type: "card", card: { token } } as never }
    : { payment_method: token };

/** When the event begins, in its own time zone if that is known. */
function eventTimeOf({ eventTime, timeZone }: PaymentFields["order"]): string | undefined {
  if (!eventTime || !timeZone) return eventTime?.toISOString();
  try {
    const style = { dateStyle: "medium", timeStyle: "short" } as const;
    const format = new Intl.DateTimeFormat("en-GB", { ...style, timeZone });
    return `${format.format(eventTime)} (${timeZone})`;
  } catch {
    return eventTime.toISOString(); // An unknown time zone must not stop a payment.
  }
}

/** The description on the buyer's receipt: the ticket as they saw it. */
const descriptionOf = (order: PaymentFields["order"]): string =>
  [order.title, order.venue, eventTimeOf(order)].filter(Boolean).join(", ");

/** Creates an unconfirmed intent, with the attempt in its metadata and as its idempotency key. */
export const createIntent = (
  { stripe, methodTypes }: IntentDeps,
  { _id: orderId, order }: PaymentFields,
  attemptId: string,
  token: string,
): Promise<Stripe.PaymentIntent> =>
  stripe.paymentIntents.create(
    {
      amount: order.price,
      currency: order.currency.toLowerCase(),
      capture_method: "manual",
      allowed_payment_method_types:
        methodTypes as Stripe.PaymentIntentCreateParams.AllowedPaymentMethodType[],
      description: descriptionOf(order),
      metadata: { order_id: orderId, attempt_id: attemptId },
      ...paymentMethodOf(token),
    },
    { idempotencyKey: attemptId },
  );
