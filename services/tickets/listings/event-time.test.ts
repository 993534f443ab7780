import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { testTickets } from "../testing.ts";

const { deps, client, list, get, recorded } = await testTickets();
const price = { currencyCode: "EUR", units: 20n };
const inDays = (days: number) => timestampFromDate(new Date(Date.now() + days * 86_400_000));
const at = (text: string) => timestampFromDate(new Date(text));

async function edit({ id }: Ticket, change: object): Promise<Ticket> {
  const request = { id, title: "A concert", price, ...change };
  const { ticket } = await client.updateTicket(request, await as("seller"));
  if (!ticket) throw new Error("no ticket");
  return ticket;
}

const refusedField = async (call: Promise<unknown>) => {
  const { code, violations } = await refusal(call);
  return [code, ...violations.map((violation) => violation.split(" ")[0])];
};

describe("the time of an event", () => {
  it.each([
    ["has passed", at("2020-01-01T00:00:00Z")],
    ["is the year 9999", at("9999-01-01T00:00:00Z")],
    ["is eleven years ahead", inDays(11 * 366)],
  ])("is refused where it %s, when listing and when editing", async (_, eventTime) => {
    const refused = [Code.InvalidArgument, "event_time"];
    expect(await refusedField(list({ eventTime }))).toEqual(refused);
    const ticket = await list({ eventTime: inDays(1) });
    expect(await refusedField(edit(ticket, { eventTime }))).toEqual(refused);
    expect(await get(ticket.id)).toEqual(ticket);
  });

  it("may lie nearly ten years ahead", async () => {
    const ticket = await list({ eventTime: inDays(3_640) });
    const eventTime = inDays(3_641);
    expect((await edit(ticket, { eventTime })).eventTime).toBeDefined();
  });

  it.each(["2020-01-01T00:00:00Z", "9998-01-01T00:00:00Z"])(
    "%s that is stored stays through edits that leave it",
    async (text) => {
      const ticket = await list({ eventTime: inDays(1) });
      const eventTime = new Date(text);
      await deps.tickets.updateOne({ _id: ticket.id }, { $set: { eventTime } });
      const edited = await edit(ticket, { title: "Other", eventTime: at(text) });
      expect(edited.title).toBe("Other");
      expect(edited.eventTime && timestampDate(edited.eventTime)).toEqual(eventTime);
    },
  );
});

describe("the time zone of an event", () => {
  const eventTime = inDays(1);

  it.each([
    ["Europe/Berlin", "Europe/Berlin"],
    ["europe/berlin", "Europe/Berlin"],
    ["Asia/Kolkata", "Asia/Kolkata"],
    ["asia/kolkata", "Asia/Kolkata"],
    ["ASIA/HO_CHI_MINH", "Asia/Ho_Chi_Minh"],
    ["america/argentina/buenos_aires", "America/Argentina/Buenos_Aires"],
    ["america/knox_in", "America/Knox_IN"],
    ["australia/nsw", "Australia/NSW"],
    ["america/port-au-prince", "America/Port-au-Prince"],
    ["UTC", "UTC"],
    ["etc/utc", "UTC"],
    ["etc/gmt+5", "Etc/GMT+5"],
    ["us/pacific", "America/Los_Angeles"],
    ["japan", "Asia/Tokyo"],
  ])("%s is stored and told as %s", async (timeZone, stored) => {
    const ticket = await list({ eventTime, timeZone });
    expect(ticket.timeZone).toBe(stored);
    expect((await get(ticket.id)).timeZone).toBe(stored);
    expect((await recorded(ticket.id))[0]?.ticket?.timeZone).toBe(stored);
  });

  it.each(["Mars/Base", "+02:00", "-05", " ", "Europe/Berlin ", "x".repeat(65), "\u0000"])(
    "%j is refused",
    async (timeZone) => {
      const refused = [Code.InvalidArgument, "time_zone"];
      expect(await refusedField(list({ eventTime, timeZone }))).toEqual(refused);
      const ticket = await list({ eventTime });
      expect(await refusedField(edit(ticket, { eventTime, timeZone }))).toEqual(refused);
    },
  );

  it("is not stored without an event time, and becomes empty if it is left out", async () => {
    expect((await list({ timeZone: "Europe/Berlin" })).timeZone).toBe("");
    const ticket = await list({ eventTime, timeZone: "Europe/Berlin" });
    expect((await edit(ticket, { eventTime })).timeZone).toBe("");
  });
});
