import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TicketSchema } from "@ticketing/proto/web/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { ticketFormValues } from "./ticket-form-values.ts";

const eventTime = timestampFromMs(Date.parse("2027-06-05T00:00:00Z"));
const ticket = (change: object = {}) =>
  create(TicketSchema, {
    title: "Concert",
    price: { currencyCode: "EUR", units: 25n },
    venue: "Hall",
    ...change,
  });

describe("the form of a ticket", () => {
  it("shows the event's time in its own time zone", () => {
    const shown = ticketFormValues(
      ticket({ eventTime, timeZone: "America/New_York" }),
      "Asia/Tokyo",
    );
    expect(shown).toMatchObject({ eventTime: "2027-06-04T20:00", timeZone: "America/New_York" });
  });

  it("shows UTC for a date without a time zone, and the user's time zone if there is no date", () => {
    expect(ticketFormValues(ticket({ eventTime }), "Asia/Tokyo").timeZone).toBe("UTC");
    expect(ticketFormValues(ticket(), "Asia/Tokyo").timeZone).toBe("Asia/Tokyo");
  });
});
