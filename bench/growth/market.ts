import type { Category } from "@ticketing/proto/tickets/v1/ticket";
import { searchTerms } from "../../services/tickets/listings/search-terms.ts";
import { ticketModel, type TicketFields, type Tickets } from "../../services/tickets/ticket.ts";
import { newId } from "#runtime/store/ids.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { newAggregate } from "#runtime/store/plain-aggregate.ts";
import { DAY_MS, HOUR_MS } from "#runtime/values/time.ts";

// A market with tickets as people list them: few words are frequent, and most are rare.

export { ticketModel };

const BATCH = 5_000;
const WORDS = 40_000;
const LETTERS = "etaoinshrdlucmfwypvbgkqjxz";
const CATEGORIES = [
  "CONCERT",
  "SPORT",
  "FESTIVAL",
  "OTHER",
] as const satisfies (keyof typeof Category)[];

/** The word of a rank: the same in every run. */
export function wordOf(rank: number): string {
  let number = rank * 7_919 + 13;
  return Array.from({ length: 4 + (rank % 5) }, (_, i) => {
    const letter = LETTERS[number % LETTERS.length] ?? "";
    number = Math.floor(number / 3) + rank * 31 + i * 17;
    return letter;
  }).join("");
}

const anyWord = (): string => wordOf(Math.floor(Math.random() ** 3 * WORDS));
const oneOf = <T>(values: readonly T[]): T =>
  values[Math.floor(Math.random() * values.length)] as T;

function city(): string {
  const share = Math.random();
  if (share < 0.3) return "Berlin";
  return share < 0.5 ? "Hamburg" : anyWord();
}

function randomTicket(tickets: Tickets): TicketFields {
  const title = [anyWord(), anyWord(), anyWord(), ...(Math.random() < 0.05 ? ["Festival"] : [])];
  const listing = {
    title: title.join(" "),
    venue: `${anyWord()} ${city()}`,
    category: oneOf(CATEGORIES),
    price: 500 + Math.floor(Math.random() * 20_000),
    currency: Math.random() < 0.95 ? "EUR" : "USD",
  };
  const eventTime = new Date(Date.now() + HOUR_MS + Math.random() * 365 * DAY_MS);
  return newAggregate(tickets, {
    ...listing,
    eventTime,
    eventOrder: eventTime,
    terms: searchTerms(listing),
    userId: newId(),
    status: Math.random() < 0.7 ? "ON_SALE" : "SOLD",
  });
}

/** Adds tickets until there are this many. Indexes are built afterwards, which is faster. */
export async function fillMarket(tickets: Tickets, count: number): Promise<void> {
  const existing = await tickets.estimatedDocumentCount();
  if (existing > 0) await tickets.collection.dropIndexes();
  for (let made = existing; made < count; made += BATCH) {
    const size = Math.min(BATCH, count - made);
    const batch = Array.from({ length: size }, () => randomTicket(tickets));
    await tickets.collection.insertMany(batch as never, { ordered: false });
  }
  await buildIndexes(tickets);
}
