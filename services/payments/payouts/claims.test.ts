import { ClaimKindSchema } from "@ticketing/proto/payments/v1/claim";
import { describe, expect, it } from "vitest";
import { claimsOf } from "./claims.ts";
import type { PaymentFields } from "../payment.ts";
import { DAY_MS, money, type Money } from "../testing/payouts-fixture.ts";

/** What is due, as "KIND id". */
const due = async ({ deps }: Money, userId: string): Promise<string[]> =>
  (await claimsOf(deps, userId)).map(
    ({ kind, id }) => `${ClaimKindSchema.value[kind ?? 0]?.localName} ${id}`,
  );

const set = ({ payments }: Money, _id: string, $set: Record<string, unknown>) =>
  payments.updateOne({ _id }, { $set });

describe("what is due to a seller", () => {
  it("is what they have earned, held or not, with and without an account to pay it to", async () => {
    const all = await money();
    await all.sell({ eventDaysAgo: -3 });
    await all.sell({ eventDaysAgo: 3, price: 2_000 });
    expect(await due(all, "sam")).toEqual(["EARNINGS earnings:EUR:11400"]);
    await all.onboarded();
    expect(await due(all, "sam")).toEqual(["EARNINGS earnings:EUR:11400"]);
    await all.start().sweep();
    expect(await due(all, "sam")).toEqual(["EARNINGS earnings:EUR:9500"]);
    expect(await due(all, "eve")).toEqual([]);
  });

  it("is a payout that is on its way", async () => {
    const all = await money();
    await all.onboarded();
    await all.sell({ eventDaysAgo: 3 });
    await all.start().sweep();
    await all.payouts.updateMany({}, { $set: { status: "PENDING" } });
    expect(await due(all, "sam")).toEqual(["PAYOUT payout:sam:EUR:1"]);
  });

  it("is nothing where they owe us", async () => {
    const all = await money();
    await all.onboarded();
    const sale = await all.sell({ eventDaysAgo: 2 });
    await all.start().sweep();
    await all.dispute(sale);
    expect(await due(all, "sam")).toEqual([]);
  });

  it("is an order that somebody has open on their ticket", async () => {
    const all = await money();
    const id = await all.sell({ eventDaysAgo: -3 });
    const later = new Date(Date.now() + DAY_MS);
    await set(all, id, { "order.status": "CREATED", "order.expiresAt": later, postings: [] });
    expect(await due(all, "sam")).toContain(`SALE order:${id}`);
    expect(await due(all, "ann")).toContain(`ORDER order:${id}`);
  });
});

describe("what is due to a buyer", () => {
  it("is a paid ticket, until its event has begun", async () => {
    const all = await money();
    const id = await all.sell({ eventDaysAgo: -1 });
    await all.sell({ eventDaysAgo: 0.01 });
    expect(await due(all, "ann")).toEqual([`TICKET ticket:${id}`]);
    all.clock.ahead = DAY_MS + 1;
    expect(await due(all, "ann")).toEqual([]);
  });

  it("is a paid ticket until its code was opened, whether or not it has a date", async () => {
    const all = await money();
    const [dated, undated] = [await all.sell({ eventDaysAgo: -1 }), await all.sell()];
    expect((await due(all, "ann")).toSorted()).toEqual(
      [`TICKET ticket:${dated}`, `TICKET ticket:${undated}`].toSorted(),
    );
    for (const id of [dated, undated]) await set(all, id, { codeOpenTime: new Date() });
    expect(await due(all, "ann")).toEqual([]);
  });

  it("is money on its way back, until it is there", async () => {
    const all = await money();
    const id = await all.sell({ eventDaysAgo: -1 });
    const times = { createTime: new Date(), updateTime: new Date() };
    const refund: PaymentFields["refunds"][number] = {
      ...{ _id: "r1", amount: 10_000, reason: "BUYER", status: "PENDING", userId: "ann" },
      ...{ faults: 0, ...times },
    };
    await set(all, id, { "order.status": "CANCELLED", refunds: [refund] });
    expect(await due(all, "ann")).toEqual(["REFUND refund:r1"]);
    await set(all, id, { refunds: [] }); // It is owed though nobody has begun.
    expect(await due(all, "ann")).toEqual([`REFUND refund:${id}:10000`]);
    await set(all, id, { "attempts.0.status": "REFUNDED" });
    expect(await due(all, "ann")).toEqual([]);
  });

  it("is no hold whose time is up, unless its payment is under way", async () => {
    const all = await money();
    const id = await all.sell();
    const past = new Date(Date.now() - 1_000);
    await set(all, id, { "order.status": "CREATED", "order.expiresAt": past });
    expect(await due(all, "ann")).toEqual([]);
    await set(all, id, { "attempts.0.status": "AUTHORIZED" });
    expect(await due(all, "ann")).toEqual([`ORDER order:${id}`]);
  });
});
