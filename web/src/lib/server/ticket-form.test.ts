import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Category } from "@ticketing/proto/web/tickets/v1/ticket";
import { expect, it } from "vitest";
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
