import fc from "fast-check";
import { minorUnits } from "@ticketing/proto/currencies";
import { expect, it } from "vitest";
import { earningsInLedger } from "../balances/ledger-earnings.ts";
import { earningsOf, type Earnings } from "../balances/earnings.ts";
import { refundableAmount } from "../refunds/refund-state.ts";
import { DAY_MS, payoutsFixture, type PayoutsFixture } from "../testing/payouts-fixture.ts";
import { cases } from "#runtime/testing/thoroughness.ts";

const SELLERS = ["eve", "sam"] as const;
const TROUBLE = {
  "the answer is lost": { drop: true },
  "it fails after the work": { fail: 500, late: true },
  "it fails before the work": { fail: 503 },
} as const;

const sellerId = fc.constantFrom(...SELLERS);
const sell = fc.record({
  sellerId,
  currency: fc.constantFrom("EUR", "JPY", "KWD"),
  price: fc.integer({ min: 10, max: 9_999 }).map((tens) => tens * 10),
  eventDaysAgo: fc.constantFrom(2, -2, undefined),
});
/** One of the sales so far. */
const n = fc.nat({ max: 20 });
const part = fc.double({ min: 0, max: 1, noNaN: true });
const ends = fc.constantFrom("won" as const, "lost" as const, undefined);
const status = fc.constantFrom("active" as const, "restricted" as const);
const trouble = fc.constantFrom(...(Object.keys(TROUBLE) as (keyof typeof TROUBLE)[]));

/** One step. */
const step = fc.oneof(
  { arbitrary: fc.record({ sell }), weight: 5 },
  { arbitrary: fc.record({ refund: fc.record({ n, part }) }), weight: 3 },
  { arbitrary: fc.record({ dispute: fc.record({ n, end: ends }) }), weight: 2 },
  { arbitrary: fc.constant({ sweep: true }), weight: 4 },
  { arbitrary: fc.record({ days: fc.constantFrom(1, 15) }), weight: 2 },
  { arbitrary: fc.record({ account: fc.record({ sellerId, status }) }), weight: 1 },
  { arbitrary: fc.record({ trouble }), weight: 1 },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** A step that Stripe does not allow, such as the refund of a disputed charge, is skipped. */
const ifAllowed = (done: Promise<void>): Promise<void> =>
  done.catch((error: unknown) => {
    if (!/refund|disput/i.test(String(error))) throw error;
  });

async function play(fixture: PayoutsFixture, now: Step): Promise<unknown> {
  const saleAt = async (at: number) => {
    const sales = await fixture.payments.find().sort({ _id: 1 });
    return sales[at % sales.length];
  };
  if ("sell" in now) return fixture.sell(now.sell);
  if ("sweep" in now) return fixture.start().sweep();
  if ("days" in now) return (fixture.clock.ahead += now.days * DAY_MS);
  if ("account" in now) return fixture.setAccountStatus(now.account.status, now.account.sellerId);
  if ("trouble" in now) {
    return fixture.fault({ ...TROUBLE[now.trouble], path: "/v1/transfers", method: "POST" });
  }
  const sale = await saleAt("refund" in now ? now.refund.n : now.dispute.n);
  if (!sale) return;
  if ("dispute" in now) return ifAllowed(fixture.dispute(sale._id, now.dispute.end));
  const { step: least = 1 } = minorUnits(sale.order.currency) ?? {};
  const amount = Math.ceil((refundableAmount(sale) * now.refund.part) / least) * least;
  return amount > 0 && ifAllowed(fixture.refund(sale._id, amount));
}

const sums = (of: readonly { currency: string; amount: number }[]): Record<string, number> => {
  const sum: Record<string, number> = {};
  for (const { currency, amount } of of) {
    sum[currency.toUpperCase()] = (sum[currency.toUpperCase()] ?? 0) + amount;
  }
  return sum;
};

const notZero = (sum: Record<string, number>): [string, number][] =>
  Object.entries(sum)
    .filter(([, amount]) => amount !== 0)
    .sort();

/** The amounts owed to sellers, as GetEarnings returns them. */
async function told({ deps }: PayoutsFixture): Promise<{ currency: string; amount: number }[]> {
  const earnings = await Promise.all(SELLERS.map((seller) => earningsOf(deps, seller)));
  return earnings.flat().map(({ currency, held, available }) => ({
    currency,
    amount: held + available,
  }));
}

/** An empty balance is the same as none. */
const hasMoved = ({ held, available, paidOut, payouts }: Earnings): boolean =>
  held !== 0 || available !== 0 || paidOut !== 0 || payouts !== 0;

it("the ledger sums to zero, and matches the materialized balances and the balance at Stripe", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 24 }), async (course) => {
      const fixture = await payoutsFixture();
      for (const seller of SELLERS) await fixture.onboardSeller(seller);
      for (const now of course) await play(fixture, now);
      const lines = await fixture.ledger();
      expect(notZero(sums(lines))).toEqual([]);
      const of = (account: string) => lines.filter((line) => line.account === account);
      const owed = of("seller").map((line) => ({ ...line, amount: 0 - line.amount }));
      expect(notZero(sums(await told(fixture)))).toEqual(notZero(sums(owed)));
      for (const seller of SELLERS) {
        const kept = await earningsOf(fixture.deps, seller);
        const summed = await earningsInLedger(fixture.deps, seller);
        expect(kept.filter(hasMoved)).toEqual(summed.filter(hasMoved));
      }
      // A payout counts from its creation, before Stripe is called.
      const { transfers } = await fixture.stripeObjects();
      const heard = transfers.map(({ transfer_group: id }) => id);
      const open = (await fixture.storedPayouts()).filter(
        ({ _id, status: now }) => now === "PENDING" && !heard.includes(_id),
      );
      const less = open.map(({ currency, amount }) => ({ currency, amount: 0 - amount }));
      const { available } = await fixture.stripe.balance.retrieve();
      expect(notZero(sums(of("stripe")))).toEqual(notZero(sums([...available, ...less])));
    }),
    { numRuns: cases(6) },
  );
});
