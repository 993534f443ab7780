import { Category } from "@ticketing/proto/web/tickets/v1/ticket";
import { TicketSort } from "@ticketing/proto/web/tickets/v1/ticket_service";
import { expect, it } from "vitest";
import { ticketSearchPath, listTicketsRequest, readTicketSearch } from "./ticket-search.ts";

const read = (search: string) => readTicketSearch(new URLSearchParams(search));

it("requests what the address asks for", () => {
  const search = read("q= rock &category=concert&sort=soonest");
  expect(listTicketsRequest(search, "token")).toMatchObject({
    query: "rock",
    category: Category.CONCERT,
    currencyCode: "",
    orderBy: TicketSort.EVENT_TIME,
    pageToken: "token",
  });
});

it("sorts by price in one currency, even if none is chosen", () => {
  expect(read("sort=cheapest").currency).toBe("EUR");
  expect(read("sort=dearest&currency=JPY").currency).toBe("JPY");
});

it("cuts a long search between characters, at the contract's limit", () => {
  const { q } = read(`q=${"a".repeat(199)}${encodeURIComponent("🎸🎸")}`);
  expect(q).toBe(`${"a".repeat(199)}🎸`);
  expect([...q]).toHaveLength(200);
});

it("ignores invalid parameters", () => {
  const search = read("sort=upside-down&currency=gold&category=unknown");
  expect(search.category).toBe("");
  expect(listTicketsRequest(search, "")).toMatchObject({
    category: Category.UNSPECIFIED,
    currencyCode: "",
    orderBy: TicketSort.NEWEST,
  });
});

it("writes an address that reads back as the same search", () => {
  const search = read("q=a%26b&category=sport&currency=USD&sort=dearest");
  const path = ticketSearchPath(search, "next");
  expect(readTicketSearch(new URL(path, "http://x").searchParams)).toEqual(search);
  expect(new URL(path, "http://x").searchParams.get("page")).toBe("next");
  expect(ticketSearchPath(read(""))).toBe("/");
});
