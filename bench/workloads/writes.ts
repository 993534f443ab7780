import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import type { Marketplace } from "../setup/marketplace.ts";
import type { People } from "../setup/people.ts";
import { once, type Workload } from "../workload.ts";
import { loads } from "./loads.ts";
import { addressOf, connectCall } from "./requests.ts";

const BUYERS = 50;

export function createTicket({ url, settled }: Marketplace, { seller }: People): Workload {
  const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };
  const request = (i: number) =>
    connectCall(
      url,
      TicketService.method.createTicket,
      { title: `Ticket ${i}`, price, requestId: crypto.randomUUID() },
      seller,
    );
  return once({
    name: "create",
    family: "create",
    title: "create a ticket, to the last consumer",
    side: "ours",
    ...loads.create,
    targets: async (count) => Array.from({ length: count }, (_, i) => request(i)),
    settled,
  });
}

/** Requests of many buyers for orders, each for a ticket of its own. */
export async function orders({ url }: Marketplace, people: People, count: number) {
  const buyers = await people.buyers(BUYERS);
  const tickets = await people.tickets(count);
  return tickets.map(({ id, version }, i) =>
    connectCall(
      url,
      OrderService.method.createOrder,
      { ticketId: id, ticketVersion: version, requestId: crypto.randomUUID() },
      { token: buyers[i % BUYERS]?.token ?? "", address: addressOf(i % BUYERS) },
    ),
  );
}

export const holdTicket = (marketplace: Marketplace, people: People): Workload =>
  once({
    name: "hold",
    family: "hold",
    title: "create an order, to the last consumer",
    side: "ours",
    ...loads.hold,
    async targets(count) {
      await marketplace.endHolds();
      return orders(marketplace, people, count);
    },
    settled: marketplace.settled,
  });
