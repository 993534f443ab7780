import { expect, it } from "vitest";
import { paymentConfig } from "./config.ts";

const { PAYMENT_METHOD_TYPES: types } = paymentConfig.shape;

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
