import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TicketSchema } from "@ticketing/proto/web/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { findConflicts } from "./edit-conflicts.ts";
import { ticketFormValues } from "./ticket-form-values.ts";

const eventTime = timestampFromMs(Date.parse("2027-06-05T00:00:00Z"));
const ticket = (change: object = {}) =>
  create(TicketSchema, {
    title: "Concert",
    price: { currencyCode: "EUR", units: 25n },
    venue: "Hall",
    ...change,
  });
const moreExpensive = { price: { currencyCode: "EUR", units: 80n } };

describe("a form and the current ticket", () => {
  const form = (change: object) => ({ ...ticketFormValues(ticket(), "UTC"), ...change });

  it("conflict in a part that was changed elsewhere and not edited in the form", () => {
    expect(findConflicts(form({ title: "Recital" }), ticket(), ticket(moreExpensive))).toEqual([
      { part: "price", isEdited: false },
    ]);
  });

  it("conflict in a part that was changed to different values in both", () => {
    expect(findConflicts(form({ price: "30" }), ticket(), ticket(moreExpensive))).toEqual([
      { part: "price", isEdited: true },
    ]);
    expect(findConflicts(form({ price: "80.00" }), ticket(), ticket(moreExpensive))).toEqual([]);
  });

  it("do not conflict if the ticket changed in nothing that the form shows, such as a hold", () => {
    const held = ticket({ version: 9n, orderId: "order" });
    expect(findConflicts(form({ title: "Recital", price: "30" }), ticket(), held)).toEqual([]);
  });

  it("conflict in the time zone of the event as in its time", () => {
    const [before, now] = ["Europe/Berlin", "Europe/Paris"].map((timeZone) =>
      ticket({ eventTime, timeZone }),
    );
    const values = { ...ticketFormValues(before!, "UTC"), venue: "Elsewhere" };
    expect(findConflicts(values, before, now!)).toEqual([{ part: "eventTime", isEdited: false }]);
  });

  it("always conflict in an edited code, which cannot be compared", () => {
    for (const change of [{ code: "new" }, { removeCode: true }])
      expect(findConflicts(form(change), ticket(), ticket())).toEqual([
        { part: "code", isEdited: true },
      ]);
  });

  it("conflict in every different part if the base is unknown", () => {
    const values = form({ title: "Recital", price: "30" });
    expect(findConflicts(values, undefined, ticket()).map(({ part }) => part)).toEqual([
      "title",
      "price",
    ]);
  });
});
