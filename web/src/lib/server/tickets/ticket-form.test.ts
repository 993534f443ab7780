import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { currencies } from "@ticketing/proto/currencies";
import { Category, TicketSchema, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { ticketFormValues } from "#lib/tickets/ticket-form-values.ts";
import { readChoices, parseTicketForm, readFormValues } from "./ticket-form.ts";

function form(values: Record<string, string>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(values)) data.set(name, value);
  return data;
}
const read = (values: Record<string, string>) => parseTicketForm(readFormValues(form(values)));
const at = (text: string) => timestampFromMs(Date.parse(text));

it("parses a complete ticket, with the time in the chosen time zone", () => {
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

it("needs only a title, a price and a currency", () => {
  const { input } = read({ title: "Final", price: "20", currency: "USD", timeZone: "Asia/Tokyo" });
  expect(input).toMatchObject({ title: "Final", category: Category.UNSPECIFIED, venue: "" });
  expect(input).not.toHaveProperty("eventTime");
  expect(input).not.toHaveProperty("code");
  expect(input?.timeZone).toBe("");
});

it("returns an error for each wrong field and keeps the input", () => {
  const values = readFormValues(
    form({ title: "Final", price: "a lot", currency: "EUR", eventTime: "2027-02-30T20:00" }),
  );
  const { fields, input } = parseTicketForm(values);
  expect(input).toBeUndefined();
  expect(fields).toEqual({
    price: expect.any(String),
    eventTime: "This date or time doesn’t exist.",
  });
  expect(values).toMatchObject({ title: "Final", price: "a lot", eventTime: "2027-02-30T20:00" });
});

it("reports a wrong currency at the currency field", () => {
  expect(read({ title: "Final", price: "20", currency: "XTS" }).fields).toEqual({
    currency: "Choose a currency.",
  });
});

it("counts line breaks in a code as one character, like the contract", () => {
  const code = Array.from({ length: 128 }, () => "x".repeat(31)).join("\r\n");
  const { input } = read({ title: "Final", price: "20", currency: "EUR", code });
  expect(input?.code).toHaveLength(4_095);
});

describe("a ticket's form that is sent without edits", () => {
  /** A form shows less than a ticket has. */
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
    parseTicketForm({ ...ticketFormValues(of, "Asia/Tokyo"), ...typed }, { base: of }).input;

  it.each([...currencies, "XTS"])("changes nothing, in %s", (currency) => {
    for (const zone of ["", "Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata"]) {
      const stored = ticket(currency, 20_000n, 0, zone);
      const { title, venue, category, eventTime, price, timeZone } = stored;
      expect(sent(stored)).toEqual({ title, venue, category, eventTime, price, timeZone });
    }
  });

  it("changes only the edited field", () => {
    const stored = ticket("HUF", 20_000n, 990_000_000, "Europe/Berlin");
    const { eventTime, price, category } = stored;
    const changed = sent(stored, { title: "Another title" });
    expect(changed).toMatchObject({ title: "Another title", eventTime, price, category });
    expect(sent(stored, { price: "21000" })).toMatchObject({
      price: { currencyCode: "HUF", units: 21_000n, nanos: 0 },
    });
    expect(sent(stored, { eventTime: "" })).not.toHaveProperty("eventTime");
  });

  it("stays in the second of two equal hours when only the minute changes", () => {
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

  it("moves the event when another time zone is chosen for the same local time", () => {
    const stored = ticket("EUR", 5n, 0, "Europe/Berlin");
    expect(sent(stored, { timeZone: "America/New_York" })).toMatchObject({
      eventTime: at("2027-10-31T06:30:00Z"),
      timeZone: "America/New_York",
    });
  });
});

describe("a form that is saved after the ticket changed elsewhere", () => {
  const ticket = (change: object = {}) =>
    create(TicketSchema, {
      title: "Concert",
      price: { currencyCode: "EUR", units: 25n },
      eventTime: at("2027-10-31T01:30:45Z"),
      timeZone: "Europe/Berlin",
      hasCode: true,
      ...change,
    });
  const base = ticket();
  const current = ticket({
    price: { currencyCode: "EUR", units: 80n },
    eventTime: at("2027-11-05T19:00:30Z"),
  });
  const typed = (change: object) => ({ ...ticketFormValues(base, "UTC"), ...change });

  it("keeps the current value of every part that was not edited, to the second", () => {
    const { input } = parseTicketForm(typed({ title: "Recital" }), { base, current });
    const { price, eventTime } = current;
    expect(input).toMatchObject({ title: "Recital", price, eventTime });
  });

  it("needs a choice for a part that both changed, and uses the chosen value", () => {
    const values = typed({ price: "30" });
    expect(parseTicketForm(values, { base, current }).fields).toEqual({
      price: "Choose which one to keep.",
    });
    const chosen = (price: "mine" | "current") =>
      parseTicketForm(values, { base, current, choices: { price } }).input?.price?.units;
    expect([chosen("mine"), chosen("current")]).toEqual([30n, 80n]);
  });

  it("restores an old value only if that is chosen, and then exactly", () => {
    const choices = readChoices(form({ "choice.eventTime": "mine", "choice.price": "other" }));
    expect(choices).toEqual({ eventTime: "mine" });
    const { input } = parseTicketForm(typed({}), { base, current, choices });
    expect(input).toMatchObject({ eventTime: base.eventTime, price: current.price });
  });

  it("replaces a code only if that is chosen", () => {
    const values = typed({ code: "new" });
    expect(parseTicketForm(values, { base, current }).fields).toEqual({
      code: "Choose which one to keep.",
    });
    const chosen = (code: "mine" | "current") =>
      parseTicketForm(values, { base, current, choices: { code } }).input;
    expect(chosen("mine")?.code).toBe("new");
    expect(chosen("current")).not.toHaveProperty("code");
  });
});
