import Stripe from "stripe";
import { ABANDONED, outcomeOf, type Outcome } from "./outcome.ts";
import type { PaymentFields } from "../payment.ts";

/** What Stripe refuses because of us, and not because of a card. */
const ours = [
  Stripe.errors.StripeAuthenticationError,
  Stripe.errors.StripeInvalidRequestError,
  Stripe.errors.StripePermissionError,
];

/** Whether Stripe refuses us, so that a person must look. */
export const isOurMistake = (error: unknown): boolean =>
  ours.some((mistake) => error instanceof mistake);

/** What an error of Stripe's says about the card; that nothing came of the attempt, where it says nothing. */
export function outcomeFrom(error: unknown): Outcome {
  if (error instanceof Stripe.errors.StripeCardError) {
    return outcomeOf(error.code, error.decline_code);
  }
  if (!(error instanceof Stripe.errors.StripeInvalidRequestError)) return ABANDONED;
  const { param, code } = error;
  const isAboutTheCard = /^(payment_method|token)/.test(param ?? code ?? "payment_method");
  return isAboutTheCard ? { kind: "slip", code: code ?? "invalid_request" } : ABANDONED;
}

interface IntentDeps {
  stripe: Stripe;
  /** With what may be paid, in Stripe's words. */
  methodTypes: string[];
}

const paymentMethodOf = (token: string): Partial<Stripe.PaymentIntentCreateParams> =>
  token.startsWith("tok_")
    ? { payment_method_data: { type: "card", card: { token } } as never }
    : { payment_method: token };

/** When the event begins, by the clocks of its place where that is known. */
function eventTimeOf({ eventTime, timeZone }: PaymentFields["order"]): string | undefined {
  if (!eventTime || !timeZone) return eventTime?.toISOString();
  try {
    const style = { dateStyle: "medium", timeStyle: "short" } as const;
    const format = new Intl.DateTimeFormat("en-GB", { ...style, timeZone });
    return `${format.format(eventTime)} (${timeZone})`;
  } catch {
    return eventTime.toISOString(); // A zone that this process does not know stops no payment.
  }
}

/** What the buyer's receipt is for: the ticket as they saw it. */
const descriptionOf = (order: PaymentFields["order"]): string =>
  [order.title, order.venue, eventTimeOf(order)].filter(Boolean).join(", ");

/** An intent that cannot take money yet, tied to its attempt by its metadata and its key. */
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
