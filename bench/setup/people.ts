import pLimit from "p-limit";
import type { Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { listTicket, signUp, type Person } from "../../e2e/testing/person.ts";
import type { Marketplace } from "./marketplace.ts";

const AT_ONCE = 16;

/** The users of the measured marketplace. They sign up when they are first needed. */
export interface People {
  readonly seller: Person;
  /** This many buyers. */
  buyers(count: number): Promise<readonly Person[]>;
  /** New tickets that are on sale, also in the replica of orders. */
  tickets(count: number): Promise<readonly Ticket[]>;
}

export async function signUpPeople(marketplace: Marketplace): Promise<People> {
  const { url, settled } = marketplace;
  const buyers: Person[] = [];
  const seller = await signUp(url, "seller");
  return {
    seller,
    async buyers(count) {
      const missing = Math.max(0, count - buyers.length);
      buyers.push(...(await inParallel(missing, () => signUp(url, "buyer"))));
      return buyers.slice(0, count);
    },
    async tickets(count) {
      const tickets = await inParallel(count, (i) => listTicket(seller, `Ticket ${i}`));
      await settled();
      return tickets;
    },
  };
}

function inParallel<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  const limit = pLimit(AT_ONCE);
  return Promise.all(Array.from({ length: count }, (_, i) => limit(() => make(i))));
}
