import { ticketIndexes, type TicketFields, type Tickets } from "../ticket.ts";
import { searchTerms } from "./search-terms.ts";

type Listed = Pick<TicketFields, "_id" | "version" | "title" | "venue" | "category">;

const ANY_STATUS = { $in: ["ON_SALE", "HELD", "SOLD", "WITHDRAWN"] } as const;
const BATCH_SIZE = 500;

/** Adds the terms to tickets that were stored without: by a version before the search had any. */
export async function addMissingTerms(tickets: Tickets): Promise<void> {
  const missing = tickets
    .find({ status: ANY_STATUS, terms: null }, { version: 1, title: 1, venue: 1, category: 1 })
    .hint(ticketIndexes.terms)
    .lean<Listed[]>();
  for (;;) {
    const found = await missing.clone().limit(BATCH_SIZE);
    if (found.length > 0) await tickets.bulkWrite(found.map(withTerms));
    if (found.length < BATCH_SIZE) return;
  }
}

/** A change that was saved meanwhile has brought the terms along. */
const withTerms = (ticket: Listed) => ({
  updateOne: {
    filter: { _id: ticket._id, version: ticket.version },
    update: { $set: { terms: searchTerms(ticket) } },
  },
});
