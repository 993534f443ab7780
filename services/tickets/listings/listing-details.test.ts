import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Category } from "@ticketing/proto/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import { orderHistory, testTickets, type OrderEvent } from "../testing.ts";

const { client, handle, list, get } = await testTickets();

const inDays = (days: number) => timestampFromDate(new Date(Date.now() + days * 86_400_000));
const eventTime = inDays(30);
const listing = {
  title: "Café del Mar",
  price: { currencyCode: "EUR", units: 20n, nanos: 0 },
  category: Category.CONCERT,
  venue: "The Old Hall",
  eventTime,
  timeZone: "Europe/Berlin",
};

/** Lists and edits a ticket, and returns the versions of its details and of its price. */
async function edited(change: object, code?: string) {
  const { id } = await list({ ...listing, ...(code && { code }) });
  await client.updateTicket({ ...listing, id, ...change }, await as("seller"));
  const { version, detailsVersion, priceVersion } = await get(id);
  expect(version).toBe(2n);
  return { detailsVersion, priceVersion };
}

describe("the version of what a buyer sees", () => {
  it.each([
    ["the title", { title: "Café del Sol" }],
    ["the case of the title", { title: "CAFÉ del Mar" }],
    ["the order of words", { title: "del Mar Café" }],
    ["the venue", { venue: "The New Hall" }],
    ["that there is a venue", { venue: "" }],
    ["the category", { category: Category.OTHER }],
    ["that there is a category", { category: Category.UNSPECIFIED }],
    ["the date", { eventTime: inDays(31) }],
    ["the time zone", { timeZone: "Europe/London" }],
    ["that there is a time zone", { timeZone: "" }],
    ["that there is a date", { eventTime: undefined }],
  ])("is raised by a change of %s, and that of the price is not", async (_, change) => {
    expect(await edited(change)).toEqual({ detailsVersion: 2n, priceVersion: 1n });
  });

  it.each([
    ["nothing", {}],
    [
      "the spaces around and between words",
      { title: "  Café   del\tMar ", venue: "The Old  Hall" },
    ],
    ["how an accent is written", { title: "Café del Mar" }],
    ["characters without width", { title: "Café\u200B del\u00AD Mar" }],
  ])("is not raised by a change of %s", async (_, change) => {
    expect(await edited(change)).toEqual({ detailsVersion: 1n, priceVersion: 1n });
  });

  it.each([
    ["", "UTC"],
    ["", "Etc/UTC"],
    ["UTC", "etc/gmt"],
    ["Asia/Kolkata", "Asia/Calcutta"],
    ["US/Pacific", "America/Los_Angeles"],
  ])("is not raised by another name of a time zone: %j, then %j", async (before, timeZone) => {
    const { id } = await list({ ...listing, timeZone: before });
    await client.updateTicket({ ...listing, id, timeZone }, await as("seller"));
    expect(await get(id)).toMatchObject({ version: 2n, detailsVersion: 1n });
  });

  it("does not increase by a change of the price alone", async () => {
    const change = { price: { currencyCode: "EUR", units: 30n } };
    expect(await edited(change)).toEqual({ detailsVersion: 1n, priceVersion: 2n });
  });

  it("increases when an announced code is removed, and not when one is attached", async () => {
    expect((await edited({ code: "" }, "a-code")).detailsVersion).toBe(2n);
    expect((await edited({ code: "new" }, "a-code")).detailsVersion).toBe(1n);
    expect((await edited({ code: "new" })).detailsVersion).toBe(1n);
  });

  it("does not increase by holds, withdrawing and relisting", async () => {
    const { id } = await list(listing);
    for (const event of orderHistory(id, 1, ["created", "cancelled"]))
      await handle(event as OrderEvent);
    await client.deleteTicket({ id }, await as("seller"));
    await client.relistTicket({ id }, await as("seller"));
    expect(await get(id)).toMatchObject({ version: 5n, detailsVersion: 1n });
  });
});
