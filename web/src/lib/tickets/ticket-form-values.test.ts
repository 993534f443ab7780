import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TicketSchema } from "@ticketing/proto/web/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { findConflicts, ticketValues } from "./ticket-form-values.ts";

const eventTime = timestampFromMs(Date.parse("2027-06-05T00:00:00Z"));
const ticket = (change: object = {}) =>
  create(TicketSchema, {
    title: "Concert",
    price: { currencyCode: "EUR", units: 25n },
    venue: "Hall",
    ...change,
  });
const dearer = { price: { currencyCode: "EUR", units: 80n } };

describe("the form of a ticket", () => {
  it("shows the time of its event in the event's own zone", () => {
    const shown = ticketValues(ticket({ eventTime, timeZone: "America/New_York" }), "Asia/Tokyo");
    expect(shown).toMatchObject({ eventTime: "2027-06-04T20:00", timeZone: "America/New_York" });
  });

  it("shows UTC for a date without a zone, and the visitor's zone where there is no date", () => {
    expect(ticketValues(ticket({ eventTime }), "Asia/Tokyo").timeZone).toBe("UTC");
    expect(ticketValues(ticket(), "Asia/Tokyo").timeZone).toBe("Asia/Tokyo");
  });
});

describe("two changes of a ticket", () => {
  const form = (change: object) => ({ ...ticketValues(ticket(), "UTC"), ...change });

  it("meet where the other one changed what this form still shows as before", () => {
    expect(findConflicts(form({ title: "Recital" }), ticket(), ticket(dearer))).toEqual([
      { part: "price", isTyped: false },
    ]);
  });

  it("meet where both changed the same part, to different ends", () => {
    expect(findConflicts(form({ price: "30" }), ticket(), ticket(dearer))).toEqual([
      { part: "price", isTyped: true },
    ]);
    expect(findConflicts(form({ price: "80.00" }), ticket(), ticket(dearer))).toEqual([]);
  });

  it("do not meet where the other one changed nothing that the form shows, as a hold", () => {
    const held = ticket({ version: 9n, orderId: "order" });
    expect(findConflicts(form({ title: "Recital", price: "30" }), ticket(), held)).toEqual([]);
  });

  it("meet in the zone of the event as in its time", () => {
    const [before, now] = ["Europe/Berlin", "Europe/Paris"].map((timeZone) =>
      ticket({ eventTime, timeZone }),
    );
    const typed = { ...ticketValues(before!, "UTC"), venue: "Elsewhere" };
    expect(findConflicts(typed, before, now!)).toEqual([{ part: "eventTime", isTyped: false }]);
  });

  it("always meet in a code, which nobody can compare", () => {
    for (const change of [{ code: "new" }, { removeCode: true }])
      expect(findConflicts(form(change), ticket(), ticket())).toEqual([
        { part: "code", isTyped: true },
      ]);
  });

  it("meet in all that differs where nobody knows what the form was filled from", () => {
    const typed = form({ title: "Recital", price: "30" });
    expect(findConflicts(typed, undefined, ticket()).map(({ part }) => part)).toEqual([
      "title",
      "price",
    ]);
  });
});
