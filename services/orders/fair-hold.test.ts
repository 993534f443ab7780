import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { Order } from "@ticketing/proto/orders/v1/order";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeCreatedSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as, token } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderConfig } from "./config.ts";
import { paymentMessage, testOrders } from "./testing.ts";

type Fixture = Awaited<ReturnType<typeof testOrders>>;

/** How long an order holds its ticket, in seconds, when it was made just now. */
const secondsOf = ({ deps }: Fixture, { expiresAt }: Order): number =>
  Math.round((timestampDate(expiresAt!).getTime() - deps.now()) / 1000);

/** Holds a ticket and lets it go, and answers how long it could have been held. */
async function abandon(all: Fixture, ticketId: string, userId: string): Promise<number> {
  const order = await all.buy(ticketId, userId);
  const seconds = secondsOf(all, order);
  await all.client.cancelOrder({ id: order.id }, await as(userId));
  return seconds;
}

/** Somebody who has bought a ticket. */
async function established(all: Fixture): Promise<string> {
  const userId = newId();
  const { id } = await all.buy(await all.ticket(), userId);
  await all.hear(PaymentAuthorizedSchema, paymentMessage(id, "a", PaymentStatus.AUTHORIZED));
  await all.hear(ChargeCreatedSchema, paymentMessage(id, "a", PaymentStatus.CAPTURED));
  return userId;
}

/** Presses *Buy* from an address, as the edge tells it. */
const buyFrom = async (all: Fixture, address: string, userId = newId()) => {
  const { headers } = await as(userId);
  const ticketId = await all.ticket();
  const from = { headers: { ...headers, "x-forwarded-for": address } };
  return all.client.createOrder({ ticketId }, from);
};

describe("a confirmed address", () => {
  it("is asked for before a ticket is held, by default", async () => {
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

describe("a hold of a ticket that was let go before", () => {
  it("by the same buyer is half as long, then a quarter, and refused after four in a day", async () => {
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

  it("by somebody else is as long as any first hold, and scales with it", async () => {
    const all = await testOrders({ holdSeconds: 60 });
    const [ticketId, userId] = [await all.ticket(), newId()];
    expect(await abandon(all, ticketId, userId)).toBe(60);
    expect(await abandon(all, ticketId, newId())).toBe(60);
    expect(await abandon(all, ticketId, userId)).toBe(30);
  });

  it("by time or by a declined card counts; a ban or a refund does not", async () => {
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

  it("by two accounts that alternate keeps it off sale for less than an hour a day", async () => {
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

describe("a crowd of new accounts", () => {
  it("has four open orders each, until one of them has paid", async () => {
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

  it("holds no more than twenty tickets from one address, also all at once", async () => {
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

  it("counts an address no more once its holds are over, and the hold forgets it", async () => {
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
