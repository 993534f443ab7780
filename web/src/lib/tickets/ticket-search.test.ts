import { Category } from "@ticketing/proto/web/tickets/v1/ticket";
import { TicketSort } from "@ticketing/proto/web/tickets/v1/ticket_service";
import { expect, it } from "vitest";
import { browsePath, browseRequest, readFilters } from "./ticket-search.ts";

const read = (search: string) => readFilters(new URLSearchParams(search));

it("asks the backend for what the address says", () => {
  const filters = read("q= rock &category=concert&sort=soonest");
  expect(browseRequest(filters, "token")).toMatchObject({
    query: "rock",
    category: Category.CONCERT,
    currencyCode: "",
    orderBy: TicketSort.EVENT_TIME,
    pageToken: "token",
  });
});

it("sorts by price in one currency, chosen or not", () => {
  expect(read("sort=cheapest").currency).toBe("EUR");
  expect(read("sort=dearest&currency=JPY").currency).toBe("JPY");
});

it("cuts a long search between characters, where the contract's limit is", () => {
  const { q } = read(`q=${"a".repeat(199)}${encodeURIComponent("🎸🎸")}`);
  expect(q).toBe(`${"a".repeat(199)}🎸`);
  expect([...q]).toHaveLength(200);
});

it("leaves out what makes no sense", () => {
  const filters = read("sort=upside-down&currency=gold&category=unknown");
  expect(filters.category).toBe("");
  expect(browseRequest(filters, "")).toMatchObject({
    category: Category.UNSPECIFIED,
    currencyCode: "",
    orderBy: TicketSort.NEWEST,
  });
});

it("writes an address that reads back the same", () => {
  const filters = read("q=a%26b&category=sport&currency=USD&sort=dearest");
  const path = browsePath(filters, "next");
  expect(readFilters(new URL(path, "http://x").searchParams)).toEqual(filters);
  expect(new URL(path, "http://x").searchParams.get("page")).toBe("next");
  expect(browsePath(read(""))).toBe("/");
});
