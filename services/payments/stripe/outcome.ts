/** What became of an attempt that took no money. */
export interface Outcome {
  /** A slip the buyer can correct while the hold runs; a decline ends the order (R61). */
  kind: "slip" | "decline";
  /** Stripe's word for it, or ours where Stripe had none. */
  code: string;
}

/** The attempt never reached the card: no answer came, or nobody was left to go on with it. */
export const ABANDONED: Outcome = { kind: "slip", code: "abandoned" };
/** Somebody gave the attempt up. */
export const CANCELED: Outcome = { kind: "slip", code: "canceled" };

/**
 * The decline codes of a card whose bank has said no, to this card and this amount. Everything else,
 * also what is not known yet, is a slip: the hold goes on and the buyer may try again. See
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

/** Slip or decline, from Stripe's error code and, where the bank gave one, its decline code. */
export function outcomeOf(code: string | undefined, declineCode: string | undefined): Outcome {
  const said = declineCode || code || "unknown";
  const declined = code === "card_declined" && hardDeclineCodes.has(declineCode ?? "");
  return { kind: declined ? "decline" : "slip", code: said };
}
