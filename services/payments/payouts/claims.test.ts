import { ClaimKindSchema } from "@ticketing/proto/payments/v1/claim";
import { describe, expect, it } from "vitest";
import { claimsOf } from "./claims.ts";
import type { PaymentFields } from "../payment.ts";
import { DAY_MS, payoutsFixture, type PayoutsFixture } from "../testing/payouts-fixture.ts";

/** The claims, as "KIND id". */
const due = async ({ deps }: PayoutsFixture, userId: string): Promise<string[]> =>
  (await claimsOf(deps, userId)).map(
    ({ kind, id }) => `${ClaimKindSchema.value[kind ?? 0]?.localName} ${id}`,
  );

const set = ({ payments }: PayoutsFixture, _id: string, $set: Record<string, unknown>) =>
  payments.updateOne({ _id }, { $set });

describe("a claim of a seller", () => {
  it("is the earnings, held or not, with and without an account", async () => {
    const fixture = await payoutsFixture();
    await fixture.sell({ eventDaysAgo: -3 });
    await fixture.sell({ eventDaysAgo: 3, price: 2_000 });
    expect(await due(fixture, "sam")).toEqual(["EARNINGS earnings:EUR:11400"]);
    await fixture.onboardSeller();
    expect(await due(fixture, "sam")).toEqual(["EARNINGS earnings:EUR:11400"]);
    await fixture.start().sweep();
    expect(await due(fixture, "sam")).toEqual(["EARNINGS earnings:EUR:9500"]);
    expect(await due(fixture, "eve")).toEqual([]);
  });

  it("is a pending payout", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    await fixture.sell({ eventDaysAgo: 3 });
    await fixture.start().sweep();
    await fixture.payouts.updateMany({}, { $set: { status: "PENDING" } });
    expect(await due(fixture, "sam")).toEqual(["PAYOUT payout:sam:EUR:1"]);
  });

  it("is absent if the seller has a debt", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    const sale = await fixture.sell({ eventDaysAgo: 2 });
    await fixture.start().sweep();
    await fixture.dispute(sale);
    expect(await due(fixture, "sam")).toEqual([]);
  });

  it("is an open order of their ticket", async () => {
    const fixture = await payoutsFixture();
    const id = await fixture.sell({ eventDaysAgo: -3 });
    const later = new Date(Date.now() + DAY_MS);
    await set(fixture, id, { "order.status": "CREATED", "order.expiresAt": later, postings: [] });
    expect(await due(fixture, "sam")).toContain(`SALE order:${id}`);
    expect(await due(fixture, "ann")).toContain(`ORDER order:${id}`);
  });
});

describe("a claim of a buyer", () => {
  it("is a paid ticket, until its event has begun", async () => {
    const fixture = await payoutsFixture();
    const id = await fixture.sell({ eventDaysAgo: -1 });
    await fixture.sell({ eventDaysAgo: 0.01 });
    expect(await due(fixture, "ann")).toEqual([`TICKET ticket:${id}`]);
    fixture.clock.ahead = DAY_MS + 1;
    expect(await due(fixture, "ann")).toEqual([]);
  });

  it("is a paid ticket until its code is revealed, with or without a date", async () => {
    const fixture = await payoutsFixture();
    const [dated, undated] = [await fixture.sell({ eventDaysAgo: -1 }), await fixture.sell()];
    expect((await due(fixture, "ann")).toSorted()).toEqual(
      [`TICKET ticket:${dated}`, `TICKET ticket:${undated}`].toSorted(),
    );
    for (const id of [dated, undated]) await set(fixture, id, { codeOpenTime: new Date() });
    expect(await due(fixture, "ann")).toEqual([]);
  });

  it("is a refund, until it has succeeded", async () => {
    const fixture = await payoutsFixture();
    const id = await fixture.sell({ eventDaysAgo: -1 });
    const times = { createTime: new Date(), updateTime: new Date() };
    const refund: PaymentFields["refunds"][number] = {
      ...{ _id: "r1", amount: 10_000, reason: "BUYER", status: "PENDING", userId: "ann" },
      ...{ faults: 0, ...times },
    };
    await set(fixture, id, { "order.status": "CANCELLED", refunds: [refund] });
    expect(await due(fixture, "ann")).toEqual(["REFUND refund:r1"]);
    await set(fixture, id, { refunds: [] }); // The refund is due before it is requested.
    expect(await due(fixture, "ann")).toEqual([`REFUND refund:${id}:10000`]);
    await set(fixture, id, { "attempts.0.status": "REFUNDED" });
    expect(await due(fixture, "ann")).toEqual([]);
  });

  it("does not include an expired hold, unless its payment is in progress", async () => {
    const fixture = await payoutsFixture();
    const id = await fixture.sell();
    const past = new Date(Date.now() - 1_000);
    await set(fixture, id, { "order.status": "CREATED", "order.expiresAt": past });
    expect(await due(fixture, "ann")).toEqual([]);
    await set(fixture, id, { "attempts.0.status": "AUTHORIZED" });
    expect(await due(fixture, "ann")).toEqual([`ORDER order:${id}`]);
  });
});
