import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { Order } from "@ticketing/proto/orders/v1/order";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeCreatedSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as, token } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderConfig } from "./config.ts";
import { paymentMessage, testOrders } from "./testing.ts";

type Fixture = Awaited<ReturnType<typeof testOrders>>;

/** How long a new order holds its ticket, in seconds. */
const secondsOf = ({ deps }: Fixture, { expiresAt }: Order): number =>
  Math.round((timestampDate(expiresAt!).getTime() - deps.now()) / 1000);

/** Holds a ticket and cancels, and returns how long the hold would have lasted. */
async function abandon(all: Fixture, ticketId: string, userId: string): Promise<number> {
  const order = await all.buy(ticketId, userId);
  const seconds = secondsOf(all, order);
  await all.client.cancelOrder({ id: order.id }, await as(userId));
  return seconds;
}

/** A user who has bought a ticket. */
async function established(all: Fixture): Promise<string> {
  const userId = newId();
  const { id } = await all.buy(await all.ticket(), userId);
  await all.handle(PaymentAuthorizedSchema, paymentMessage(id, "a", PaymentStatus.AUTHORIZED));
  await all.handle(ChargeCreatedSchema, paymentMessage(id, "a", PaymentStatus.CAPTURED));
  return userId;
}

/** Presses *Buy* from an address that the edge forwards. */
const buyFrom = async (all: Fixture, address: string, userId = newId()) => {
  const { headers } = await as(userId);
  const ticketId = await all.ticket();
  const from = { headers: { ...headers, "x-forwarded-for": address } };
  return all.client.createOrder({ ticketId }, from);
};

describe("a confirmed address", () => {
  it("is required before a ticket is held, by default", async () => {
    const all = await testOrders({ requireConfirmedEmail: true });
    const ticketId = await all.ticket();
    const bearer = async (claims: object) => ({
      headers: { authorization: `Bearer ${await token({ sub: newId(), ...claims })}` },
    });
    for (const claims of [{}, { email_verified: false }, { email_verified: "true" }]) {
      expect(
        await refusal(all.client.createOrder({ ticketId }, await bearer(claims))),
      ).toMatchObject({ code: Code.FailedPrecondition, reason: "EMAIL_NOT_CONFIRMED" });
    }
    const { order } = await all.client.createOrder(
      { ticketId },
      await bearer({ email_verified: true }),
    );
    expect(order?.ticketId).toBe(ticketId);
    expect(orderConfig.shape.REQUIRE_CONFIRMED_EMAIL.parse(undefined)).toBe(true);
  });
});

describe("a hold of a ticket that was held before and not paid", () => {
  // The clock stands still, because a call on a busy machine can take a second.
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => void vi.useRealTimers());

  it("by the same buyer is half as long, then a quarter, and is refused after four in a day", async () => {
    const all = await testOrders();
    const [ticketId, userId] = [await all.ticket(), await newId()];
    const seconds: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      seconds.push(await abandon(all, ticketId, userId));
      all.pass(3_601); // Beyond the limit of an hour.
    }
    expect(seconds).toEqual([900, 450, 225, 225]);
    expect(await refusal(all.buy(ticketId, userId))).toMatchObject({ reason: "TOO_MANY_HOLDS" });
    all.pass(86_400);
    expect(await abandon(all, ticketId, userId)).toBe(900);
  });

  it("by another buyer has the full length", async () => {
    const all = await testOrders({ holdSeconds: 60 });
    const [ticketId, userId] = [await all.ticket(), newId()];
    expect(await abandon(all, ticketId, userId)).toBe(60);
    expect(await abandon(all, ticketId, newId())).toBe(60);
    expect(await abandon(all, ticketId, userId)).toBe(30);
  });

  it("counts if it expired or its card was declined, and not if it ended by a ban or a refund", async () => {
    const all = await testOrders();
    const [ticketId, userId] = [await all.ticket(), newId()];
    const endings = [
      ["REFUNDED", 900],
      ["BANNED", 900],
      ["EXPIRED", 450],
      ["PAYMENT_FAILED", 450],
    ] as const;
    for (const [cancelReason, next] of endings) {
      await all.deps.orders.deleteMany({ userId });
      const { id } = await all.buy(ticketId, userId);
      await all.deps.orders.updateOne({ _id: id }, { status: "CANCELLED", cancelReason });
      expect(await abandon(all, ticketId, userId), cancelReason).toBe(next);
    }
  });

  it("by two alternating accounts keeps the ticket off sale for less than an hour a day", async () => {
    const all = await testOrders();
    const [ticketId, pair] = [await all.ticket(), [newId(), newId()]];
    let held = 0;
    for (let minute = 0; minute < 24 * 60; minute += 15) {
      for (const userId of pair) {
        held += await abandon(all, ticketId, userId).catch(() => 0);
      }
      all.pass(15 * 60);
    }
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThanOrEqual(3_600);
  });
});

describe("a group of new accounts", () => {
  it("may have four open orders each, until one of them is paid", async () => {
    const all = await testOrders({ maxOpenOrdersNew: 4 });
    const userId = newId();
    for (let i = 0; i < 4; i += 1) await all.buy(await all.ticket(), userId);
    expect(await refusal(all.buy(await all.ticket(), userId))).toMatchObject({
      code: Code.ResourceExhausted,
      reason: "TOO_MANY_OPEN_ORDERS",
    });
    const known = await established(all);
    for (let i = 0; i < 5; i += 1) await all.buy(await all.ticket(), known);
  });

  it("holds at most twenty tickets from one address, also when all requests arrive at once", async () => {
    const all = await testOrders({ maxHoldsPerNetwork: 20 });
    const tries = await Promise.allSettled(
      Array.from({ length: 30 }, () => buyFrom(all, "192.0.2.1")),
    );
    expect(tries.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(20);
    const held = () => all.deps.orders.countDocuments({ status: "CREATED" });
    while ((await held()) < 20) await buyFrom(all, "192.0.2.1");
    expect(await refusal(buyFrom(all, "192.0.2.1"))).toMatchObject({
      code: Code.ResourceExhausted,
      reason: "TOO_MANY_HOLDS_FROM_NETWORK",
    });
    await buyFrom(all, "192.0.2.2");
  });

  it("frees its address when the holds end, and the address is removed from the order", async () => {
    const all = await testOrders({ maxHoldsPerNetwork: 1 });
    const userId = newId();
    const { order } = await buyFrom(all, "2001:db8::1", userId);
    expect(await refusal(buyFrom(all, "2001:db8::2"))).toMatchObject({
      reason: "TOO_MANY_HOLDS_FROM_NETWORK",
    });
    await all.client.cancelOrder({ id: order?.id ?? "" }, await as(userId));
    expect(await all.deps.orders.countDocuments({ network: { $exists: true } })).toBe(0);
    await buyFrom(all, "2001:db8::2");
  });
});
