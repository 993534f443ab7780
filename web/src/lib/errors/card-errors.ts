/** Messages for Stripe's decline and error codes. */
const messages: Record<string, string> = {
  card_declined: "Your bank declined the payment.",
  generic_decline: "Your bank declined the payment.",
  insufficient_funds: "Your card has insufficient funds.",
  incorrect_cvc: "Your card’s security code is incorrect.",
  expired_card: "Your card has expired.",
  incorrect_number: "Your card number is incorrect.",
  processing_error: "Your card couldn’t be processed.",
  authentication_required: "Your bank needs you to confirm the payment.",
  payment_intent_authentication_failure: "Your bank couldn’t confirm that it was you.",
};

/** What a page says about a card that did not work; `code` is Stripe's. */
export const cardErrorMessage = (
  code: string | undefined,
  otherwise = "Your card wasn’t accepted.",
): string => messages[code ?? ""] ?? otherwise;
