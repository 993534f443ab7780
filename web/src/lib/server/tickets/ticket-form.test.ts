import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { currencies } from "@ticketing/proto/currencies";
import { Category, TicketSchema, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { ticketValues } from "#lib/tickets/ticket-form-values.ts";
import { readChoices, parseTicketForm, readFormValues } from "./ticket-form.ts";

function form(values: Record<string, string>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(values)) data.set(name, value);
  return data;
}
const read = (values: Record<string, string>) => parseTicketForm(readFormValues(form(values)));
const at = (text: string) => timestampFromMs(Date.parse(text));

it("reads a whole ticket, the time in the zone that was chosen", () => {
  const { input } = read({
    title: " Final ",
    price: "19,90",
    currency: "EUR",
    category: "sport",
    venue: "Stadium",
    eventTime: "2027-06-04T20:00",
    timeZone: "Europe/Berlin",
    code: "AB-12",
  });
  expect(input).toMatchObject({
    title: "Final",
    price: { currencyCode: "EUR", units: 19n, nanos: 900_000_000 },
    category: Category.SPORT,
    eventTime: at("2027-06-04T18:00:00Z"),
    timeZone: "Europe/Berlin",
    code: "AB-12",
  });
});

it("needs no more than title, price and currency", () => {
  const { input } = read({ title: "Final", price: "20", currency: "USD", timeZone: "Asia/Tokyo" });
  expect(input).toMatchObject({ title: "Final", category: Category.UNSPECIFIED, venue: "" });
  expect(input).not.toHaveProperty("eventTime");
  expect(input).not.toHaveProperty("code");
  expect(input?.timeZone).toBe("");
});

it("says what is wrong at each field, and keeps what was typed", () => {
  const values = readFormValues(
    form({ title: "Final", price: "a lot", currency: "EUR", eventTime: "2027-02-30T20:00" }),
  );
  const { fields, input } = parseTicketForm(values);
  expect(input).toBeUndefined();
  expect(fields).toEqual({
    price: expect.any(String),
    eventTime: "There is no such day or time.",
  });
  expect(values).toMatchObject({ title: "Final", price: "a lot", eventTime: "2027-02-30T20:00" });
});

it("says at the currency that it is the currency", () => {
  expect(read({ title: "Final", price: "20", currency: "XTS" }).fields).toEqual({
    currency: "Choose a currency.",
  });
});

it("counts the ends of a code's lines once, as the contract does", () => {
  const code = Array.from({ length: 128 }, () => "x".repeat(31)).join("\r\n");
  const { input } = read({ title: "Final", price: "20", currency: "EUR", code });
  expect(input?.code).toHaveLength(4_095);
});

describe("a ticket's form sent as it came", () => {
  /** What a form shows is less than what a ticket has. */
  const odd = {
    title: "A  concert",
    venue: "Hall",
    category: 99 as Category,
    // 01:30:45Z is the second 02:30 of that night in Berlin.
    eventTime: at("2027-10-31T01:30:45Z"),
  };
  const ticket = (currencyCode: string, units: bigint, nanos = 0, timeZone = ""): Ticket =>
    create(TicketSchema, { ...odd, price: { currencyCode, units, nanos }, timeZone });
  const sent = (of: Ticket, typed: object = {}) =>
    parseTicketForm({ ...ticketValues(of, "Asia/Tokyo"), ...typed }, { seen: of }).input;

  it.each([...currencies, "XTS"])("changes nothing, in %s", (currency) => {
    for (const zone of ["", "Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata"]) {
      const stored = ticket(currency, 20_000n, 0, zone);
      const { title, venue, category, eventTime, price, timeZone } = stored;
      expect(sent(stored)).toEqual({ title, venue, category, eventTime, price, timeZone });
    }
  });

  it("changes with a touched field that field alone", () => {
    const stored = ticket("HUF", 20_000n, 990_000_000, "Europe/Berlin");
    const { eventTime, price, category } = stored;
    const changed = sent(stored, { title: "Another title" });
    expect(changed).toMatchObject({ title: "Another title", eventTime, price, category });
    expect(sent(stored, { price: "21000" })).toMatchObject({
      price: { currencyCode: "HUF", units: 21_000n, nanos: 0 },
    });
    expect(sent(stored, { eventTime: "" })).not.toHaveProperty("eventTime");
  });

  it("keeps the second of two equal hours where another minute of it is typed", () => {
    const berlin = (text: string) =>
      create(TicketSchema, { ...ticket("EUR", 5n, 0, "Europe/Berlin"), eventTime: at(text) });
    const typed = { eventTime: "2027-10-31T02:45" };
    expect(sent(berlin("2027-10-31T01:30:45Z"), typed)?.eventTime).toEqual(
      at("2027-10-31T01:45:00Z"),
    );
    expect(sent(berlin("2027-10-31T00:30:45Z"), typed)?.eventTime).toEqual(
      at("2027-10-31T00:45:00Z"),
    );
  });

  it("moves the event where another zone is chosen for the same clock", () => {
    const stored = ticket("EUR", 5n, 0, "Europe/Berlin");
    expect(sent(stored, { timeZone: "America/New_York" })).toMatchObject({
      eventTime: at("2027-10-31T06:30:00Z"),
      timeZone: "America/New_York",
    });
  });
});

describe("a form that is saved over a change made elsewhere", () => {
  const ticket = (change: object = {}) =>
    create(TicketSchema, {
      title: "Concert",
      price: { currencyCode: "EUR", units: 25n },
      eventTime: at("2027-10-31T01:30:45Z"),
      timeZone: "Europe/Berlin",
      hasCode: true,
      ...change,
    });
  const seen = ticket();
  const now = ticket({
    price: { currencyCode: "EUR", units: 80n },
    eventTime: at("2027-11-05T19:00:30Z"),
  });
  const typed = (change: object) => ({ ...ticketValues(seen, "UTC"), ...change });

  it("leaves what was not touched in it as it is now, to the second", () => {
    const { input } = parseTicketForm(typed({ title: "Recital" }), { seen, now });
    const { price, eventTime } = now;
    expect(input).toMatchObject({ title: "Recital", price, eventTime });
  });

  it("needs a choice for what both have changed, and takes what is chosen", () => {
    const values = typed({ price: "30" });
    expect(parseTicketForm(values, { seen, now }).fields).toEqual({
      price: "Choose one of the two.",
    });
    const chosen = (price: "mine" | "now") =>
      parseTicketForm(values, { seen, now, choices: { price } }).input?.price?.units;
    expect([chosen("mine"), chosen("now")]).toEqual([30n, 80n]);
  });

  it("puts back what was before only where that is chosen, and then exactly", () => {
    const choices = readChoices(form({ "choice.eventTime": "mine", "choice.price": "other" }));
    expect(choices).toEqual({ eventTime: "mine" });
    const { input } = parseTicketForm(typed({}), { seen, now, choices });
    expect(input).toMatchObject({ eventTime: seen.eventTime, price: now.price });
  });

  it("replaces a code only where that is chosen", () => {
    const values = typed({ code: "new" });
    expect(parseTicketForm(values, { seen, now }).fields).toEqual({
      code: "Choose one of the two.",
    });
    const chosen = (code: "mine" | "now") =>
      parseTicketForm(values, { seen, now, choices: { code } }).input;
    expect(chosen("mine")?.code).toBe("new");
    expect(chosen("now")).not.toHaveProperty("code");
  });
});
