import { PaymentAuthorizedSchema } from "@ticketing/proto/payments/v1/payment_events";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { paymentMessage, testOrders, wordsOf } from "./testing.ts";

const { buy, get, hear, standing, ticket, told } = await testOrders({ maxOpenOrders: 100 });

describe("a banned user", () => {
  it("has no open orders, and nobody has one on their tickets", async () => {
    const eve = newId();
    const bought = await Promise.all(
      Array.from({ length: 25 }, async () => buy(await ticket(), eve)),
    );
    const sold = await buy(await ticket({ userId: eve }));
    const others = await buy(await ticket());
    await standing(eve, 2, true);
    for (const order of [...bought, sold]) {
      expect(wordsOf(await get(order))).toBe("CANCELLED BANNED");
    }
    expect((await told(sold.id)).map(({ type }) => type)).toEqual([
      "OrderCreated",
      "OrderCancelled",
    ]);
    expect(wordsOf(await get(others))).toBe("CREATED");
  });

  it("gets what is being paid", async () => {
    const order = await buy(await ticket());
    await hear(PaymentAuthorizedSchema, paymentMessage(order.id, newId()));
    await standing(order.userId, 2, true);
    expect(wordsOf(await get(order))).toBe("AWAITING_PAYMENT");
  });

  it("is told of late and out of order, and the newest word counts", async () => {
    const order = await buy(await ticket());
    await standing(order.userId, 3, false);
    await standing(order.userId, 2, true);
    expect(wordsOf(await get(order))).toBe("CREATED");
  });

  it("cannot buy in the moment of the ban, nor be bought from", async () => {
    const eve = newId();
    await standing(eve, 2, true);
    const fair = await ticket();
    expect(await refusal(buy(fair, eve))).toMatchObject({ reason: "BANNED" });
    expect(await refusal(buy(await ticket({ userId: eve })))).toMatchObject({
      reason: "TICKET_WITHDRAWN",
    });
    expect(wordsOf(await buy(fair))).toBe("CREATED");
    await standing(eve, 3, false);
    expect(wordsOf(await buy(await ticket(), eve))).toBe("CREATED");
  });
});
