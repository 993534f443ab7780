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

// The smallest and the greatest that can be charged, in currencies of 0, 2 and 3 digits, and whatever.
const price = fc.oneof(fc.constantFrom(1, 10, 30, 50, 99_999_990, 99_999_999), fc.nat(99_999_998));
const bps = fc.oneof(fc.constantFrom(0, 1, 500, 10_000), fc.nat(10_000));

const sumOf = ({ lines }: Posting): number => lines.reduce((sum, { amount }) => sum + amount, 0);

/** A sale, and then a part of what is left goes back, or of what went comes again, a few times. */
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
  it("sums to zero after whatever goes back and comes again, to the smallest coin", () => {
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
        // Of what is left, the fee is the part that it was of the price, to the nearest coin.
        expect(Math.abs(feesOf(postings) - (fee * held) / price)).toBeLessThanOrEqual(0.5 + 1e-6);
      }),
      { numRuns: 500 },
    );
  });

  it("leaves nothing to anybody once all is back, in however many parts", () => {
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

  it("has the seller bear what a bank takes beyond what is left, and gives it back when it is won", () => {
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
  ])("keeps of %i at %i hundredths of a per cent %i, to the nearest coin", (amount, bps, fee) => {
    expect(feeOf(amount, bps)).toBe(fee);
  });
});
