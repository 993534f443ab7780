import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  feeOf,
  feesOf,
  reversalPosting,
  heldAtStripe,
  owedToSeller,
  salePosting,
  type Posting,
} from "./ledger.ts";

const now = new Date(0);

// The smallest and largest chargeable amounts with 0, 2 and 3 decimals, and random ones.
const price = fc.oneof(fc.constantFrom(1, 10, 30, 50, 99_999_990, 99_999_999), fc.nat(99_999_998));
const bps = fc.oneof(fc.constantFrom(0, 1, 500, 10_000), fc.nat(10_000));

const sumOf = ({ lines }: Posting): number => lines.reduce((sum, { amount }) => sum + amount, 0);

/** A sale, followed by a few partial refunds and returns. */
const story = fc.record({
  price: price.map((amount) => amount || 1),
  bps,
  parts: fc.array(
    fc.record({ part: fc.double({ min: 0, max: 1, noNaN: true }), back: fc.boolean() }),
    {
      maxLength: 12,
    },
  ),
});

const exact = (amount: number): boolean => Number.isSafeInteger(amount) && !Object.is(amount, -0);

describe("the ledger of a sale", () => {
  it("sums to zero after any refunds and returns, to the minor unit", () => {
    fc.assert(
      fc.property(story, ({ price, bps, parts }) => {
        const fee = feeOf(price, bps);
        const postings = [salePosting("sale", now, price, fee)];
        for (const [i, { part, back }] of parts.entries()) {
          const held = heldAtStripe(postings);
          const most = back ? held : price - held;
          const amount = Math.round(most * part) * (back ? 1 : -1);
          postings.push(reversalPosting(String(i), now, amount, { price, fee, postings }));
        }
        for (const posting of postings) {
          expect(sumOf(posting)).toBe(0);
          expect(posting.lines.every(({ amount }) => exact(amount))).toBe(true);
        }
        const held = heldAtStripe(postings);
        expect(feesOf(postings) + owedToSeller(postings)).toBe(held);
        // The fee on the rest has the same proportion as the fee on the price, rounded.
        expect(Math.abs(feesOf(postings) - (fee * held) / price)).toBeLessThanOrEqual(0.5 + 1e-6);
      }),
      { numRuns: 500 },
    );
  });

  it("leaves nothing on any account once everything is refunded, in any number of parts", () => {
    fc.assert(
      fc.property(story, ({ price, bps, parts }) => {
        const fee = feeOf(price, bps);
        const postings = [salePosting("sale", now, price, fee)];
        const give = (amount: number): void =>
          void postings.push(
            reversalPosting(String(postings.length), now, amount, { price, fee, postings }),
          );
        for (const { part } of parts) give(Math.floor(heldAtStripe(postings) * part));
        give(heldAtStripe(postings));
        expect([heldAtStripe(postings), feesOf(postings), owedToSeller(postings)]).toEqual([
          0, 0, 0,
        ]);
      }),
      { numRuns: 500 },
    );
  });

  it("charges the seller for what a bank takes beyond the rest, and credits it when the dispute is won", () => {
    const postings = [salePosting("sale", now, 2550, 128)];
    const move = (id: string, amount: number): void =>
      void postings.push(reversalPosting(id, now, amount, { price: 2550, fee: 128, postings }));
    move("refund", 2000);
    move("dispute", 2550);
    expect([heldAtStripe(postings), feesOf(postings), owedToSeller(postings)]).toEqual([
      -2000, 0, -2000,
    ]);
    move("dispute:won", -2550);
    expect([heldAtStripe(postings), feesOf(postings), owedToSeller(postings)]).toEqual([
      550, 28, 522,
    ]);
  });

  it.each([
    [2550, 500, 128], // 127.5
    [2549, 500, 127],
    [29, 500, 1], // 1.45
    [115, 500, 6], // 5.75
    [113_610, 290, 3295], // 3294.69
    [99_999_999, 10_000, 99_999_999],
    [99_999_999, 1, 10_000],
    [50, 0, 0],
  ])(
    "computes for %i at %i basis points a fee of %i, rounded to the nearest minor unit",
    (amount, bps, fee) => {
      expect(feeOf(amount, bps)).toBe(fee);
    },
  );
});
