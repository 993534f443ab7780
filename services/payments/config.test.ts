import { expect, it } from "vitest";
import { paymentConfig } from "./config.ts";

const { PAYMENT_METHOD_TYPES: types, STRIPE_WEBHOOK_SECRET: secrets } = paymentConfig.shape;

it("accepts one webhook secret, or several while they are rolled, but not none", () => {
  expect(secrets.parse("whsec_1")).toEqual(["whsec_1"]);
  expect(secrets.parse("whsec_new, whsec_old")).toEqual(["whsec_new", "whsec_old"]);
  for (const none of ["", ",", " , "]) expect(secrets.safeParse(none).success).toBe(false);
});

it.each(["card", "card,klarna", "paypal,amazon_pay,card"])(
  'accepts payment methods with separate capture: "%s"',
  (given) => {
    expect(types.parse(given)).toBe(given);
  },
);

it.each(["", "sepa_debit", "card,ideal", "card,", "card, klarna", "Card", "bancontact"])(
  'rejects payment methods that capture immediately, and malformed lists: "%s"',
  (given) => {
    expect(types.safeParse(given).success).toBe(false);
  },
);
