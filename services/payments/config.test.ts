import { expect, it } from "vitest";
import { paymentConfig } from "./config.ts";

const { PAYMENT_METHOD_TYPES: types, STRIPE_WEBHOOK_SECRET: secrets } = paymentConfig.shape;

it("takes one secret of the webhook's endpoint, or several while it is replaced, but not none", () => {
  expect(secrets.parse("whsec_1")).toEqual(["whsec_1"]);
  expect(secrets.parse("whsec_new, whsec_old")).toEqual(["whsec_new", "whsec_old"]);
  for (const none of ["", ",", " , "]) expect(secrets.safeParse(none).success).toBe(false);
});

it.each(["card", "card,klarna", "paypal,amazon_pay,card"])(
  'takes payment methods that reserve an amount and take it later: "%s"',
  (given) => {
    expect(types.parse(given)).toBe(given);
  },
);

it.each(["", "sepa_debit", "card,ideal", "card,", "card, klarna", "Card", "bancontact"])(
  'ends the start at others, which would take the money before anybody has decided: "%s"',
  (given) => {
    expect(types.safeParse(given).success).toBe(false);
  },
);
