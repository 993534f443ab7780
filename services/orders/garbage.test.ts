import { OrderFilter, OrderService } from "@ticketing/proto/orders/v1/order_service";
import { expect, it } from "vitest";
import { sendGarbage } from "#runtime/testing/garbage.ts";
import { as } from "#runtime/testing/tokens.ts";
import { testServer } from "#runtime/testing/server.ts";
import { orderRoutes } from "./rpc.ts";
import { testOrders } from "./testing.ts";

it(
  "garbage requests break nothing, and a refused request stores nothing",
  { timeout: 120_000 },
  async () => {
    const { deps, ticket, buy } = await testOrders({ maxOpenOrders: 1000, maxHoldsPerHour: 1000 });
    const server = await testServer(orderRoutes(deps));
    const order = await buy(await ticket(), "ann");
    const known = [
      order.id,
      order.ticketId,
      await ticket(),
      await ticket(),
      await ticket({ userId: "ann" }),
    ];
    const { headers } = await as("ann");
    const [, , free = ""] = known;
    const good = {
      CreateOrder: { ticketId: free, ticketVersion: "1" },
      GetOrder: { id: order.id },
      ListOrders: { pageSize: 3, filter: "ORDER_FILTER_ALL" },
      CancelOrder: { id: order.id },
    };

    const answered = await sendGarbage(server, OrderService, {
      headers,
      known,
      good,
      runs: 100,
      seed: 1,
    });

    for (const { name } of OrderService.methods)
      expect(answered.get(name), name).toBeGreaterThan(0);
    const made = await deps.orders.countDocuments();
    expect(made).toBeLessThanOrEqual(1 + (answered.get("CreateOrder") ?? 0));
    expect(await deps.tickets.countDocuments()).toBe(4);
    expect(await deps.orders.countDocuments({ userId: { $ne: "ann" } })).toBe(0);
    const all = { pageSize: 100, filter: OrderFilter.ALL };
    const page = await server.connect(OrderService).listOrders(all, await as("ann"));
    expect(page.orders).toHaveLength(Math.min(made, 100));
  },
);
