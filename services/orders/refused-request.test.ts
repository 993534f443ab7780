import { v4 } from "uuid";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { testOrders } from "./testing.ts";

const { client, deps, setBanned, ticket, buy } = await testOrders();

const openOf = (userId: string): Promise<number> =>
  deps.orders.countDocuments({ userId, status: "CREATED" });

describe("a refused request that is sent again with its request_id is not answered as successful", () => {
  it("if its buyer is banned", async () => {
    const buyer = newId();
    await setBanned(buyer, 2, true);
    const [ticketId, requestId] = [await ticket(), v4()];
    for (let time = 0; time < 3; time += 1) {
      expect((await refusal(buy(ticketId, buyer, { requestId }))).reason).toBe("BANNED");
    }
    expect(await openOf(buyer)).toBe(0);
  });

  it("if its seller is banned", async () => {
    const [buyer, seller] = [newId(), newId()];
    await setBanned(seller, 2, true);
    const [ticketId, requestId] = [await ticket({ userId: seller }), v4()];
    for (let time = 0; time < 2; time += 1) {
      const refused = await refusal(buy(ticketId, buyer, { requestId }));
      expect(refused.reason).toBe("TICKET_WITHDRAWN");
    }
  });

  it("if it exceeded a limit together with others made at the same moment", async () => {
    const buyer = newId();
    const requests = await Promise.all(
      Array.from({ length: 30 }, async () => ({ ticketId: await ticket(), requestId: v4() })),
    );
    const send = ({ ticketId, requestId }: { ticketId: string; requestId: string }) =>
      buy(ticketId, buyer, { requestId });
    const first = await Promise.allSettled(requests.map(send));
    const refused = requests.filter((_, i) => first[i]?.status === "rejected");
    // Others may reach the limit again, so each of them may be refused again.
    while ((await openOf(buyer)) < deps.maxOpenOrders) await buy(await ticket(), buyer);
    for (const request of refused) {
      expect((await refusal(send(request))).reason).toBe("TOO_MANY_OPEN_ORDERS");
    }
    expect(await deps.orders.exists({ userId: buyer, status: "CANCELLED" })).not.toBeNull();
  });

  it("but is a new request if it may succeed now", async () => {
    const buyer = newId();
    await setBanned(buyer, 2, true);
    const [ticketId, requestId] = [await ticket(), v4()];
    await refusal(buy(ticketId, buyer, { requestId }));
    await setBanned(buyer, 3, false);
    const order = await buy(ticketId, buyer, { requestId });
    expect(await openOf(buyer)).toBe(1);
    await client.cancelOrder({ id: order.id }, await as(buyer));
    expect((await buy(ticketId, buyer, { requestId })).id).toBe(order.id);
  });
});
