import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { currencies } from "@ticketing/proto/currencies";
import { Category, TicketSchema, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { ticketValues } from "#lib/ticket-values.ts";
import { readTicketForm } from "./ticket-form.ts";

function form(values: Record<string, string>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(values)) data.set(name, value);
  return data;
}

it("reads a whole ticket, the time in the zone that the form showed", () => {
  const { input } = readTicketForm(
    form({
      title: " Final ",
      price: "19,90",
      currency: "EUR",
      category: "sport",
      venue: "Stadium",
      eventTime: "2027-06-04T20:00",
      timeZone: "Europe/Berlin",
      code: "AB-12",
    }),
  );
  expect(input).toMatchObject({
    title: "Final",
    price: { currencyCode: "EUR", units: 19n, nanos: 900_000_000 },
    category: Category.SPORT,
    eventTime: timestampFromMs(Date.parse("2027-06-04T18:00:00Z")),
    code: "AB-12",
  });
});

it("needs no more than title, price and currency", () => {
  const { input } = readTicketForm(form({ title: "Final", price: "20", currency: "USD" }));
  expect(input).toMatchObject({ title: "Final", category: Category.UNSPECIFIED, venue: "" });
  expect(input).not.toHaveProperty("eventTime");
});

it("says what is wrong at each field, and keeps what was typed", () => {
  const { values, fields, input } = readTicketForm(
    form({ title: "Final", price: "a lot", currency: "EUR", eventTime: "soon" }),
  );
  expect(input).toBeUndefined();
  expect(Object.keys(fields ?? {})).toEqual(["price", "eventTime"]);
  expect(values).toMatchObject({ title: "Final", price: "a lot", eventTime: "soon" });
});

describe("a ticket's form sent as it came", () => {
  /** What a form shows is less than what a ticket has. */
  const odd = {
    title: "A  concert",
    venue: "Hall",
    category: 99 as Category,
    // 01:30:45Z is the second 02:30 of that night in Berlin.
    eventTime: timestampFromMs(Date.parse("2027-10-31T01:30:45Z")),
  };
  const ticket = (currencyCode: string, units: bigint, nanos = 0): Ticket =>
    create(TicketSchema, { ...odd, price: { currencyCode, units, nanos } });
  const sent = (of: Ticket, timeZone: string, typed: object = {}) =>
    readTicketForm(form({ ...ticketValues(of, timeZone), timeZone, ...typed }), of).input;

  it.each([...currencies, "XTS"])("changes nothing, in %s", (currency) => {
    for (const zone of ["Europe/Berlin", "America/New_York", "UTC"]) {
      const stored = ticket(currency, 20_000n);
      const { title, venue, category, eventTime, price } = stored;
      const same = { title, venue, category, eventTime, price };
      expect(sent(stored, zone)).toEqual({ ...same, code: "" });
    }
  });

  it("changes with a touched field that field alone", () => {
    const stored = ticket("HUF", 20_000n, 990_000_000);
    const { eventTime, price, category } = stored;
    const changed = sent(stored, "Europe/Berlin", { title: "Another title" });
    expect(changed).toMatchObject({ title: "Another title", eventTime, price, category });
    expect(sent(stored, "Europe/Berlin", { price: "21000" })).toMatchObject({
      price: { currencyCode: "HUF", units: 21_000n, nanos: 0 },
    });
    expect(sent(stored, "Europe/Berlin", { eventTime: "" })).not.toHaveProperty("eventTime");
  });
});

it("says at the currency that it is the currency", () => {
  const { fields } = readTicketForm(form({ title: "Final", price: "20", currency: "XTS" }));
  expect(fields).toEqual({ currency: "Choose a currency." });
});
