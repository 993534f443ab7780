import { expect, it } from "vitest";
import { toMoney } from "#runtime/values/money.ts";
import { feeOf, feesOf, heldAtStripe, owedToSeller } from "../ledger.ts";
import { requestRefund, completedOrder } from "../testing/refunds.ts";
import { FEE_BPS, paymentsFixture } from "../testing/payments-fixture.ts";

// The smallest and largest amounts, 0, 2 and 3 decimals, and prices without an exact binary form.
const amounts: [currency: string, minor: number, units: bigint, nanos: number][] = [
  ["USD", 50, 0n, 500_000_000],
  ["USD", 99_999_999, 999_999n, 990_000_000],
  ["GBP", 30, 0n, 300_000_000],
  ["EUR", 115, 1n, 150_000_000],
  ["EUR", 113_610, 1136n, 100_000_000],
  ["USD", 1929, 19n, 290_000_000],
  ["JPY", 50, 50n, 0],
  ["JPY", 99_999_999, 99_999_999n, 0],
  ["KWD", 10, 0n, 10_000_000],
  ["KWD", 1990, 1n, 990_000_000],
  ["BHD", 99_999_990, 99_999n, 990_000_000],
];

it("every amount is exact: in messages, at Stripe and in the ledger, charged and refunded", async () => {
  const fixture = await paymentsFixture();
  for (const [currency, minor, units, nanos] of amounts) {
    const price = { currencyCode: currency, units, nanos };
    const order = await completedOrder(fixture, { price });
    const { intents, taken } = await fixture.stripeState(order);
    const charged = { amount: minor, currency: currency.toLowerCase() };
    expect(intents).toMatchObject([{ ...charged, amount_received: minor }]);
    expect(taken).toMatchObject([{ ...charged, amount_captured: minor }]);
    const { postings } = await fixture.load(order.id);
    const fee = feeOf(minor, FEE_BPS);
    expect([heldAtStripe(postings), feesOf(postings), owedToSeller(postings)]).toEqual([
      minor,
      fee,
      minor - fee,
    ]);
    const [charge] = (await fixture.recordedEvents(order.id)).filter(
      ({ name }) => name === "ChargeCreated",
    );
    expect(charge?.payment.amount).toMatchObject(price);

    // First a part, the smallest amount that Stripe refunds, and then the rest.
    const coin = toMoney({ amount: ["KWD", "BHD"].includes(currency) ? 10 : 1, currency });
    await requestRefund(fixture, order, "administrator", { amount: coin });
    await fixture.attemptReaches(order, minor === 10 ? "REFUNDED" : "PARTLY_REFUNDED");
    if (minor !== 10) await requestRefund(fixture, order, "administrator");
    expect(await fixture.settled(order)).toBe("CANCELLED");
    const after = (await fixture.load(order.id)).postings;
    expect([heldAtStripe(after), feesOf(after), owedToSeller(after)]).toEqual([0, 0, 0]);
  }
});
