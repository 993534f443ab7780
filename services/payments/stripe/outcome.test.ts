import { describe, expect, it } from "vitest";
import { outcomeOf } from "./outcome.ts";

// Stripe's decline codes (docs.stripe.com/declines/codes), all of which come as `card_declined`.
const hardDeclines = [
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
];
const softDeclines = [
  "approve_with_id",
  "authentication_required",
  "currency_not_supported",
  "duplicate_transaction",
  "incorrect_pin",
  "invalid_amount",
  "issuer_not_available",
  "new_account_information_available",
  "offline_pin_required",
  "online_or_offline_pin_required",
  "pin_try_exceeded",
  "reenter_transaction",
  "testmode_decline",
  "try_again_later",
];

describe("a declined card", () => {
  it.each(hardDeclines)("is a hard decline with %s", (code) => {
    expect(outcomeOf("card_declined", code)).toEqual({ kind: "hard_decline", code });
  });

  it.each(softDeclines)("is a soft decline with %s", (code) => {
    expect(outcomeOf("card_declined", code)).toEqual({ kind: "soft_decline", code });
  });

  it("is a soft decline with an unknown code", () => {
    expect(outcomeOf("card_declined", "on_the_moon")).toEqual({
      kind: "soft_decline",
      code: "on_the_moon",
    });
    expect(outcomeOf("card_declined", undefined)).toEqual({
      kind: "soft_decline",
      code: "card_declined",
    });
  });
});

describe("a card that cannot be used", () => {
  it.each([
    "expired_card",
    "incorrect_cvc",
    "incorrect_number",
    "incorrect_zip",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "payment_intent_authentication_failure",
    "processing_error",
  ])("is a soft decline because of %s", (code) => {
    expect(outcomeOf(code, undefined)).toEqual({ kind: "soft_decline", code });
    expect(outcomeOf(code, code)).toEqual({ kind: "soft_decline", code });
  });

  it("is a soft decline even with a decline code of the bank", () => {
    expect(outcomeOf("incorrect_cvc", "generic_decline").kind).toBe("soft_decline");
  });

  it("is a soft decline without a reason", () => {
    expect(outcomeOf(undefined, undefined)).toEqual({ kind: "soft_decline", code: "unknown" });
    expect(outcomeOf("", "")).toEqual({ kind: "soft_decline", code: "unknown" });
  });
});
