/** Why an attempt captured no money. */
export interface Outcome {
  /** After a soft decline the buyer may try again during the hold; a hard decline ends the order (R61). */
  kind: "soft_decline" | "hard_decline";
  /** Stripe's code, or our own where Stripe gave none. */
  code: string;
}

/** The attempt never reached the card: the answer was lost, or its process crashed. */
export const ABANDONED: Outcome = { kind: "soft_decline", code: "abandoned" };
/** The attempt was canceled. */
export const CANCELED: Outcome = { kind: "soft_decline", code: "canceled" };

/**
 * The decline codes with which a bank refuses this card and this amount. Every other code, also an
 * unknown one, is a soft decline: the hold continues and the buyer may try again. See
 * docs/decisions/0008-soft-and-hard-declines.md.
 */
const hardDeclineCodes = new Set([
  "call_issuer",
  "card_not_supported",
  "card_velocity_exceeded",
  "do_not_honor",
  "do_not_try_again",
  "fraudulent",
  "generic_decline",
  "insufficient_funds",
  "invalid_account",
  "lost_card",
  "merchant_blacklist",
  "no_action_taken",
  "not_permitted",
  "pickup_card",
  "restricted_card",
  "revocation_of_all_authorizations",
  "revocation_of_authorization",
  "security_violation",
  "service_not_allowed",
  "stolen_card",
  "stop_payment_order",
  "transaction_not_allowed",
  "withdrawal_count_limit_exceeded",
]);

/** A soft or hard decline, from Stripe's error code and the bank's decline code, if any. */
export function outcomeOf(code: string | undefined, declineCode: string | undefined): Outcome {
  const reason = declineCode || code || "unknown";
  const isHard = code === "card_declined" && hardDeclineCodes.has(declineCode ?? "");
  return { kind: isHard ? "hard_decline" : "soft_decline", code: reason };
}
