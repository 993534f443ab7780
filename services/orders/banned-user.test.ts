import { PaymentAuthorizedSchema } from "@ticketing/proto/payments/v1/payment_events";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { paymentMessage, testOrders, statusWordsOf } from "./testing.ts";

const { buy, get, handle, setBanned, ticket, recorded } = await testOrders({ maxOpenOrders: 100 });

describe("a banned user", () => {
  it("loses their open orders, and so do the buyers of their tickets", async () => {
    const eve = newId();
    const bought = await Promise.all(
      Array.from({ length: 25 }, async () => buy(await ticket(), eve)),
    );
    const sold = await buy(await ticket({ userId: eve }));
    const others = await buy(await ticket());
    await setBanned(eve, 2, true);
    for (const order of [...bought, sold]) {
      expect(statusWordsOf(await get(order))).toBe("CANCELLED BANNED");
    }
    expect((await recorded(sold.id)).map(({ type }) => type)).toEqual([
      "OrderCreated",
      "OrderCancelled",
    ]);
    expect(statusWordsOf(await get(others))).toBe("CREATED");
  });

  it("keeps an order that is being paid", async () => {
    const order = await buy(await ticket());
    await handle(PaymentAuthorizedSchema, paymentMessage(order.id, newId()));
    await setBanned(order.userId, 2, true);
    expect(statusWordsOf(await get(order))).toBe("AWAITING_PAYMENT");
  });

  it("stays banned or unbanned as the newest event says, in whatever order events arrive", async () => {
    const order = await buy(await ticket());
    await setBanned(order.userId, 3, false);
    await setBanned(order.userId, 2, true);
    expect(statusWordsOf(await get(order))).toBe("CREATED");
  });

  it("can neither buy nor sell at the moment of the ban", async () => {
    const eve = newId();
    await setBanned(eve, 2, true);
    const fair = await ticket();
    expect(await refusal(buy(fair, eve))).toMatchObject({ reason: "BANNED" });
    expect(await refusal(buy(await ticket({ userId: eve })))).toMatchObject({
      reason: "TICKET_WITHDRAWN",
    });
    expect(statusWordsOf(await buy(fair))).toBe("CREATED");
    await setBanned(eve, 3, false);
    expect(statusWordsOf(await buy(await ticket(), eve))).toBe("CREATED");
  });
});
