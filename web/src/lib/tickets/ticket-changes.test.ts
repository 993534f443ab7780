import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Category, TicketSchema } from "@ticketing/proto/web/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { parseTicket, serializeTicket } from "./serialized-ticket.ts";
import { ticketChanges } from "./ticket-changes.ts";

const preferences = { locale: "en", timeZone: "UTC" } as Parameters<typeof ticketChanges>[2];
const ticket = (change: object = {}) =>
  create(TicketSchema, {
    title: "Café <b>del Mar</b>",
    price: { currencyCode: "EUR", units: 20n },
    category: Category.CONCERT,
    venue: "The Old Hall",
    eventTime: timestampFromMs(Date.UTC(2090, 5, 4, 18)),
    timeZone: "Europe/Berlin",
    hasCode: true,
    version: 3n,
    ...change,
  });

describe("the serialized ticket", () => {
  it("comes back from the form unchanged", () => {
    expect(parseTicket(serializeTicket(ticket()))).toEqual(ticket());
  });

  it.each([undefined, null, "", "{", '{"title":7}', "[]", "{}", '{"price":{"currencyCode":"x"}}'])(
    "is undefined when the form sends %j",
    (text) => {
      expect(parseTicket(text)).toBeUndefined();
    },
  );
});

describe("the changes of a ticket", () => {
  it("are empty if only the version differs", () => {
    expect(ticketChanges(ticket(), ticket({ version: 9n }), preferences)).toEqual([]);
  });

  it.each([
    [{ title: "A play" }, "Ticket", "Café <b>del Mar</b>", "A play"],
    [{ venue: "" }, "Where", "The Old Hall", "No venue"],
    [{ category: Category.SPORT }, "Category", "Concert", "Sport"],
    [{ hasCode: false }, "Code", "Included", "None"],
    [{ eventTime: undefined }, "When", "Jun 4, 2090", "No date"],
    [{ timeZone: "Asia/Tokyo" }, "When", "PM in Berlin", "AM in Tokyo"],
    [{ price: { currencyCode: "EUR", units: 30n } }, "Price", "20", "30"],
  ])("show the old and the new value: $1", (change, label, before, now) => {
    const changes = ticketChanges(ticket(), ticket(change), preferences);
    expect(changes).toHaveLength(1);
    expect(changes[0]?.label).toBe(label);
    expect(changes[0]?.before).toContain(before);
    expect(changes[0]?.now).toContain(now);
  });
});
