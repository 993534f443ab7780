import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Category } from "@ticketing/proto/tickets/v1/ticket";
import {
  TicketAvailability,
  TicketSort,
  type ListTicketsRequestSchema,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { beforeAll, describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { newAggregate } from "#runtime/store/plain-aggregate.ts";
import { plansOf } from "#runtime/testing/database.ts";
import { as } from "#runtime/testing/tokens.ts";
import { searchTerms } from "./search-terms.ts";
import { testTickets } from "../testing.ts";

// A market in which every ticket is "red" or "blue", never both, and every thousandth is "rare".

type Request = MessageInitShape<typeof ListTicketsRequestSchema>;

const { db, deps, client, list } = await testTickets();
const seller = newId();
const TICKETS = 12_000;
/** The tickets of a condition that has few, and some for the end of a window. */
const MOST_READ = 2_100;
const euros = (units: number) => ({ currencyCode: "EUR", units: BigInt(units) });
const hour = (n: number) => new Date(Date.now() + n * 3_600_000);

beforeAll(async () => {
  const documents = Array.from({ length: TICKETS }, (_, i) => {
    const words = [i % 2 === 0 ? "red" : "blue", ...(i % 1_000 === 0 ? ["rare"] : [])];
    const listing = { title: words.join(" "), price: 1_000 + (i % 500), currency: "EUR" };
    const { tickets } = deps;
    const terms = searchTerms({ ...listing, category: "SPORT", venue: "Arena" });
    const eventTime = hour(1 + (i % 300));
    const times = { eventTime, eventOrder: eventTime };
    const ticket = { ...listing, ...times, category: "SPORT", venue: "Arena", terms } as const;
    return newAggregate(tickets, { userId: seller, ...ticket, status: "ON_SALE" });
  });
  await deps.tickets.collection.insertMany(documents as never);
}, 120_000);

/** The titles on all pages. */
async function titles(request: Request): Promise<string[]> {
  const found: string[] = [];
  const who = await as("eve");
  let pageToken = "";
  do {
    const page = await client.listTickets({ ...(request as object), pageToken }, who);
    found.push(...page.tickets.map(({ title }) => title));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

const sorts = [
  TicketSort.NEWEST,
  TicketSort.PRICE_ASCENDING,
  TicketSort.PRICE_DESCENDING,
  TicketSort.EVENT_TIME,
  TicketSort.RELEVANCE,
];
const filters: [string, object][] = [
  ["no filter", {}],
  ["a frequent word", { query: "red" }],
  ["a rare word", { query: "rare" }],
  ["two words of which one is rare", { query: "red rare" }],
  ["two words that never occur together", { query: "red blue" }],
  ["a word that nothing has", { query: "green" }],
  ["a venue", { venue: "are" }],
  ["the category of all", { category: Category.SPORT }],
  ["a category that nothing has", { category: Category.THEATRE }],
  ["a narrow price range", { minPrice: euros(11), maxPrice: euros(11) }],
  ["a wide price range", { minPrice: euros(1) }],
  [
    "a day",
    { minEventTime: timestampFromDate(hour(24)), maxEventTime: timestampFromDate(hour(48)) },
  ],
  ["a seller", { sellerId: seller }],
  ["a seller who sells nothing", { sellerId: newId() }],
  ["all at once", { query: "re", venue: "arena", category: Category.SPORT, sellerId: seller }],
];
describe("the page of a large market", () => {
  it.each(filters)("with %s is found by indexes alone, in every order", async (_, filter) => {
    for (const availability of [TicketAvailability.AVAILABLE, TicketAvailability.ANY]) {
      const page = { ...filter, currencyCode: "EUR", availability, pageSize: 24 };
      const plans = await plansOf(db, async () => {
        for (const orderBy of sorts) await client.listTickets({ ...page, orderBy });
      });
      expect(plans.length).toBeGreaterThanOrEqual(sorts.length);
      for (const plan of plans) {
        expect(plan.planSummary).not.toContain("COLLSCAN");
        expect(plan).not.toHaveProperty("hasSortStage", true);
        expect(plan.docsExamined).toBeLessThanOrEqual(MOST_READ);
      }
    }
  });

  it("is sorted and complete, whichever way it is found", async () => {
    const rare = { query: "rare", currencyCode: "EUR", pageSize: 5 };
    for (const orderBy of sorts) {
      expect(await titles({ ...rare, orderBy })).toEqual(
        Array.from({ length: TICKETS / 1_000 }, () => "red rare"),
      );
    }
    const frequent = { query: "red", pageSize: 100, orderBy: TicketSort.EVENT_TIME };
    expect(await titles(frequent)).toHaveLength(TICKETS / 2);
  });

  it("may be empty without being the last, where words exclude each other", async () => {
    expect(await titles({ query: "red blue" })).toEqual([]);
    await list({ title: "red and blue" });
    const both = { query: "red blue", orderBy: TicketSort.EVENT_TIME };
    expect(await titles(both)).toEqual(["red and blue"]);
  });
});

it("by relevance, whole words and the first word of a title come first", async () => {
  const own = newId();
  for (const title of ["A jazzy night", "Jazzy jam", "Nights of jazz", "Jazz", "Hall"])
    await list({ title, ...(title === "Hall" && { venue: "Jazz club" }) }, own);
  const ranked = { query: "jazz", sellerId: own, orderBy: TicketSort.RELEVANCE };
  const best = ["Jazz", "Nights of jazz", "Jazzy jam", "A jazzy night", "Hall"];
  for (const pageSize of [1, 2, 10]) expect(await titles({ ...ranked, pageSize })).toEqual(best);
});
