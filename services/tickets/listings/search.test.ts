import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { Category } from "@ticketing/proto/tickets/v1/ticket";
import {
  TicketAvailability,
  TicketSort,
  type ListTicketsRequestSchema,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderHistory, testTickets, type Step } from "../testing.ts";

type Request = MessageInitShape<typeof ListTicketsRequestSchema>;

const { deps, client, handle, list } = await testTickets();

const euros = (units: number) => ({ currencyCode: "EUR", units: BigInt(units) });
const inDays = (days: number) => timestampFromDate(new Date(Date.now() + days * 86_400_000));

/** The titles on all pages of a list; `between` runs after each page. */
async function titles(
  request: Request,
  options: { as?: string; between?: () => Promise<unknown> } = {},
): Promise<string[]> {
  const found: string[] = [];
  const who = options.as === undefined ? {} : await as(options.as);
  let pageToken = "";
  do {
    const page = await client.listTickets({ ...(request as object), pageToken }, who);
    found.push(...page.tickets.map(({ title }) => title));
    pageToken = page.nextPageToken;
    if (pageToken !== "") await options.between?.();
  } while (pageToken !== "");
  return found;
}

async function order(ticketId: string, words: Step[]): Promise<void> {
  for (const event of orderHistory(ticketId, 1, words)) await handle(event);
}

describe("the words of a search", () => {
  const seller = newId();
  const search = (query: string): Promise<string[]> =>
    titles({ query, sellerId: seller, orderBy: TicketSort.NEWEST }).then((found) =>
      found.toSorted(),
    );

  it("must all occur, in title, venue or category", async () => {
    const { SPORT, CONCERT } = Category;
    await list({ title: "Rock night", venue: "Arena Berlin", category: CONCERT }, seller);
    await list({ title: "Rock festival", venue: "Hamburg", category: Category.FESTIVAL }, seller);
    await list({ title: "Football", venue: "Arena Hamburg", category: SPORT }, seller);
    await list({ title: "Café concert", venue: "Zürich" }, seller);
    expect(await search("rock")).toEqual(["Rock festival", "Rock night"]);
    expect(await search("ROCK arena")).toEqual(["Rock night"]);
    expect(await search("hamburg arena")).toEqual(["Football"]);
    expect(await search("concert berlin")).toEqual(["Rock night"]);
    expect(await search("concert")).toEqual(["Café concert", "Rock night"]);
    expect(await search("cafe zurich")).toEqual(["Café concert"]);
    expect(await search("rock football")).toEqual([]);
    expect(await search("nothing")).toEqual([]);
  });

  it("are plain words, not a query language", async () => {
    await list({ title: "Quoted", venue: "Minus" }, seller);
    expect(await search("quoted -minus")).toEqual(["Quoted"]);
    expect(await search("quoted NOT minus")).toEqual([]);
    expect(await search('"quoted" minus')).toEqual(["Quoted"]);
    expect(await search('"')).toEqual(await search(""));
    expect(await search("$where")).toEqual([]);
    expect(await search("   ")).toEqual(await search(""));
  });
});

describe("a venue", () => {
  it("is searched by words of its own", async () => {
    const seller = newId();
    await list({ title: "Berlin band", venue: "Hamburg, Große Freiheit 36" }, seller);
    await list({ title: "Hamburg band", venue: "Berlin" }, seller);
    const at = (venue: string) => titles({ sellerId: seller, venue });
    expect(await at("hamburg")).toEqual(["Berlin band"]);
    expect(await at("grosse frei")).toEqual(["Berlin band"]);
    expect(await at("berl")).toEqual(["Hamburg band"]);
    expect(await at("band")).toEqual([]);
  });
});

describe("the time of an event", () => {
  it("can be limited; tickets without one do not match", async () => {
    const seller = newId();
    await list({ title: "none" }, seller);
    for (const days of [1, 2, 3]) await list({ title: `${days}`, eventTime: inDays(days) }, seller);
    const own = { sellerId: seller };
    expect(await titles({ ...own, minEventTime: inDays(1.5) })).toEqual(["3", "2"]);
    expect(await titles({ ...own, maxEventTime: inDays(2.5) })).toEqual(["2", "1"]);
    const between = { minEventTime: inDays(1.5), maxEventTime: inDays(2.5) };
    expect(await titles({ ...own, ...between, orderBy: TicketSort.EVENT_TIME })).toEqual(["2"]);
    expect(await titles({ ...own, minEventTime: inDays(4) })).toEqual([]);
  });
});

describe("a list", () => {
  it("has what can be bought: tickets on sale whose event has not begun", async () => {
    const seller = newId();
    const own = { sellerId: seller };
    const all: [string, TicketAvailability][] = [
      ["held", TicketAvailability.HELD],
      ["sold", TicketAvailability.SOLD],
    ];
    await list({ title: "free" }, seller);
    await list({ title: "soon", eventTime: inDays(1) }, seller);
    const begun = await list({ title: "begun", eventTime: inDays(1) }, seller);
    await deps.tickets.updateOne(
      { _id: begun.id },
      { $set: { eventOrder: new Date(Date.now() - 1) } },
    );
    const withdrawn = await list({ title: "withdrawn" }, seller);
    await client.deleteTicket({ id: withdrawn.id }, await as(seller));
    await order((await list({ title: "held" }, seller)).id, ["created"]);
    await order((await list({ title: "sold" }, seller)).id, ["created", "awaiting", "completed"]);

    expect(await titles(own)).toEqual(["soon", "free"]);
    expect(await titles({ ...own, availability: TicketAvailability.AVAILABLE })).toEqual([
      "soon",
      "free",
    ]);
    for (const [title, availability] of all)
      expect(await titles({ ...own, availability })).toEqual([title]);
    const any = { ...own, availability: TicketAvailability.ANY };
    const visible = ["sold", "held", "begun", "soon", "free"];
    expect(await titles(any)).toEqual(visible);
    expect(await titles(any, { as: "eve" })).toEqual(visible);
    expect(await titles(any, { as: seller })).toEqual([
      "sold",
      "held",
      "withdrawn",
      ...visible.slice(2),
    ]);
    expect(
      await titles({ query: "withdrawn", availability: TicketAvailability.ANY }, { as: seller }),
    ).toEqual([]);
  });

  it("can be filtered by category, seller, currency and price range at once", async () => {
    const seller = newId();
    const { CONCERT, SPORT } = Category;
    for (const units of [10, 20, 30]) {
      await list({ title: `concert ${units}`, category: CONCERT, price: euros(units) }, seller);
      await list({ title: `match ${units}`, category: SPORT, price: euros(units) }, seller);
    }
    await list(
      { title: "dollars", category: CONCERT, price: { currencyCode: "USD", units: 20n } },
      seller,
    );
    await list({ title: "another's", category: CONCERT, price: euros(20) }, newId());
    const own = { sellerId: seller, category: CONCERT };
    const inEuros = { ...own, currencyCode: "EUR" };
    const cheapest = { ...inEuros, orderBy: TicketSort.PRICE_ASCENDING };
    expect(await titles(own)).toEqual(["dollars", "concert 30", "concert 20", "concert 10"]);
    expect(await titles(inEuros)).toEqual(["concert 30", "concert 20", "concert 10"]);
    expect(await titles({ ...cheapest, minPrice: euros(20) })).toEqual([
      "concert 20",
      "concert 30",
    ]);
    expect(await titles({ ...cheapest, maxPrice: euros(20) })).toEqual([
      "concert 10",
      "concert 20",
    ]);
    expect(await titles({ ...cheapest, minPrice: euros(11), maxPrice: euros(29) })).toEqual([
      "concert 20",
    ]);
    expect(await titles({ ...cheapest, minPrice: euros(21), maxPrice: euros(19) })).toEqual([]);
    expect(await titles({ ...cheapest, query: "30" })).toEqual(["concert 30"]);
  });

  it.each<[string, Request, string]>([
    [
      "an order by price without a currency",
      { orderBy: TicketSort.PRICE_DESCENDING },
      "LIST_CURRENCY",
    ],
    ["a limit without a currency", { minPrice: euros(1) }, "LIST_CURRENCY"],
    ["a limit in another currency", { currencyCode: "USD", maxPrice: euros(1) }, "LIST_CURRENCY"],
    [
      "a limit between two cents",
      { currencyCode: "EUR", maxPrice: { ...euros(1), nanos: 1 } },
      "max_price.nanos",
    ],
    [
      "a limit of two signs",
      { currencyCode: "EUR", minPrice: { ...euros(1), nanos: -10_000_000 } },
      "min_price.nanos",
    ],
    ["a page smaller than nothing", { pageSize: -1 }, "page_size INT32_GTE"],
    ["a token of nobody", { pageToken: "abc" }, "page_token"],
    [
      "a time after the year 9999",
      { maxEventTime: { seconds: 10n ** 18n } },
      "max_event_time TIMESTAMP_GTE_LTE",
    ],
    ["a time before 1970", { minEventTime: { seconds: -1n } }, "min_event_time TIMESTAMP_GTE_LTE"],
  ])("is refused for %s", async (_, request, violation) => {
    const refused = await refusal(client.listTickets(request));
    expect(refused).toMatchObject({ code: Code.InvalidArgument, violations: [violation] });
  });

  it("continues only with a page token of the same list", async () => {
    const seller = newId();
    for (let i = 0; i < 3; i += 1) await list({}, seller);
    const request = { sellerId: seller, pageSize: 2 };
    const { nextPageToken: pageToken } = await client.listTickets(request);
    expect((await client.listTickets({ ...request, pageSize: 5, pageToken })).tickets).toHaveLength(
      1,
    );
    const other = client.listTickets({ ...request, orderBy: TicketSort.EVENT_TIME, pageToken });
    expect((await refusal(other)).violations).toEqual(["page_token"]);
  });
});

describe("the order of a list", () => {
  it("is the requested one; equal tickets are ordered by id", async () => {
    const seller = newId();
    const own = { sellerId: seller };
    const priced = { ...own, currencyCode: "EUR" };
    await list({ title: "a", price: euros(20), eventTime: inDays(3) }, seller);
    await list({ title: "b", price: euros(10) }, seller);
    await list({ title: "c", price: euros(30), eventTime: inDays(1) }, seller);
    await list({ title: "d", price: euros(20), eventTime: inDays(2) }, seller);
    for (const pageSize of [1, 2, 10]) {
      expect(await titles({ ...own, pageSize })).toEqual(["d", "c", "b", "a"]);
      expect(await titles({ ...priced, pageSize, orderBy: TicketSort.PRICE_ASCENDING })).toEqual([
        "b",
        "a",
        "d",
        "c",
      ]);
      expect(await titles({ ...priced, pageSize, orderBy: TicketSort.PRICE_DESCENDING })).toEqual([
        "c",
        "d",
        "a",
        "b",
      ]);
      expect(await titles({ ...own, pageSize, orderBy: TicketSort.EVENT_TIME })).toEqual([
        "c",
        "d",
        "a",
        "b",
      ]);
    }
  });

  it.each([
    ["the newest", TicketSort.NEWEST],
    ["the cheapest", TicketSort.PRICE_ASCENDING],
    ["the dearest", TicketSort.PRICE_DESCENDING],
    ["the soonest", TicketSort.EVENT_TIME],
  ] as const)(
    "shows each ticket exactly once, %s first, whatever is listed and sold meanwhile",
    async (_, orderBy) => {
      const seller = newId();
      const add = (title: string, i: number) =>
        list(
          {
            title,
            price: euros(10 + (i % 4)),
            ...(i % 3 > 0 && { eventTime: inDays(1 + (i % 5)) }),
          },
          seller,
        );
      const stay: string[] = [];
      const leave: string[] = [];
      for (let i = 0; i < 24; i += 1) {
        const ticket = await add(i % 4 === 3 ? `leaves ${i}` : `stays ${i}`, i);
        if (i % 4 === 3) leave.push(ticket.id);
        else stay.push(ticket.title);
      }
      let round = 0;
      const found = await titles(
        { sellerId: seller, currencyCode: "EUR", orderBy, pageSize: 5 },
        {
          async between() {
            round += 1;
            for (let i = 0; i < 3; i += 1) await add(`comes ${round} ${i}`, round + i);
            await order(leave[round] ?? newId(), ["created", "awaiting", "completed"]);
          },
        },
      );
      expect(found.filter((title) => title.startsWith("stays")).toSorted()).toEqual(
        stay.toSorted(),
      );
      expect(new Set(found).size).toBe(found.length);
    },
  );
});
