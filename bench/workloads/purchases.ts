import { TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { until } from "#stack/process";
import { buy, fetchTicket, pay, type Person } from "../../e2e/testing/person.ts";
import type { Marketplace } from "../setup/marketplace.ts";
import type { People } from "../setup/people.ts";
import { flow, type Workload } from "../workload.ts";
import { loads } from "./loads.ts";

const BUYERS = 50;
const POLL_MS = 50;

interface Purchase {
  readonly buyer: Person;
  readonly ticket: Ticket;
}

/** Order, payment, capture, until the ticket is sold. */
export async function purchase({ settled }: Marketplace, people: People): Promise<Workload> {
  const buyers = await people.buyers(BUYERS);
  return flow({
    ...loads.purchase,
    name: "purchase",
    family: "purchase",
    title: "whole purchase, to sold",
    side: "ours",
    async items(count): Promise<Purchase[]> {
      const tickets = await people.tickets(count);
      return tickets.map((ticket, i) => ({ ticket, buyer: buyers[i % BUYERS] as Person }));
    },
    async each({ buyer, ticket }: Purchase) {
      await pay(buyer, await buy(buyer, ticket));
      const isSold = async () => (await fetchTicket(buyer, ticket)).status === TicketStatus.SOLD;
      await until(isSold, { what: "the ticket to be sold", everyMs: POLL_MS });
    },
    settled,
  });
}
