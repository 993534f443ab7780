import { OrderFilter } from "@ticketing/proto/orders/v1/order_service";
import { expect, inject, it } from "vitest";
import { buy, listTicket, signUp } from "./testing/person.ts";
import { toRpcError } from "./testing/rpc-error.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url } = inject("marketplace");
const BUYERS = 200;
const ROUNDS = 10;

it(
  `lets exactly one of ${BUYERS} buyers hold a ticket, ${ROUNDS} times over (P1)`,
  { timeout: 180_000 },
  async () => {
    const seller = await signUp(url, "seller");
    const buyers = await Promise.all(
      Array.from({ length: BUYERS }, (_, i) => signUp(url, `buyer-${i}`)),
    );
    const rejectionsMs: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const ticket = await listTicket(seller, `Round ${round}`);
      const calls = await Promise.all(
        buyers.map(async (buyer) => {
          const begun = performance.now();
          const rejection = await buy(buyer, ticket).then(() => undefined, toRpcError);
          if (rejection) rejectionsMs.push(performance.now() - begun);
          return { buyer, rejection };
        }),
      );
      const winners = calls.filter(({ rejection }) => !rejection);
      const reasons = new Set(
        calls.flatMap(({ rejection }) => (rejection ? [rejection.reason] : [])),
      );
      expect(winners).toHaveLength(1);
      expect([...reasons]).toEqual(["TICKET_HELD"]);
      const { buyer } = winners[0] ?? {};
      const { orders = [] } =
        (await buyer?.orders.listOrders({ filter: OrderFilter.ACTIVE })) ?? {};
      expect(orders.filter(({ ticketId }) => ticketId === ticket.id)).toHaveLength(1);
    }
    const p99 = rejectionsMs.sort((a, b) => a - b)[Math.floor(rejectionsMs.length * 0.99)] ?? 0;
    console.log(`${rejectionsMs.length} rejections, p99 ${Math.round(p99)} ms`);
  },
);
