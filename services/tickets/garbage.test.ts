import { TicketAvailability, TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { expect, it } from "vitest";
import { sendGarbage } from "#runtime/testing/garbage.ts";
import { as } from "#runtime/testing/tokens.ts";
import { testServer } from "#runtime/testing/server.ts";
import { orderHistory, testTickets } from "./testing.ts";
import { ticketRoutes } from "./rpc.ts";

it(
  "garbage requests break nothing, and a refused request stores nothing",
  { timeout: 120_000 },
  async () => {
    const { deps, list, handle } = await testTickets();
    const server = await testServer(ticketRoutes(deps));
    const held = await list();
    for (const event of orderHistory(held.id, 1, ["created"])) await handle(event);
    const free = (await list({ code: "secret" })).id;
    const edited = (await list()).id; // A single ticket would collect too many unpublished events.
    const known = [held.id, free, edited, "2a0c4f0e-4f4f-4e58-9c7e-6a44a2b8f7aa"];
    const { headers } = await as("seller");
    const listing = {
      title: "A match",
      price: { currencyCode: "EUR", units: "20" },
      venue: "Arena",
    };
    const eventTime = new Date(Date.now() + 86_400_000).toISOString();
    const good = {
      CreateTicket: { ...listing, category: "CATEGORY_SPORT", eventTime, timeZone: "Asia/Tokyo" },
      GetTicket: { id: free },
      ListTickets: { query: "match", currencyCode: "EUR", pageSize: 3 },
      UpdateTicket: { id: edited, ...listing },
      DeleteTicket: { id: free },
      RelistTicket: { id: free },
      OpenTicketCode: { id: free },
    };
    const before = await deps.tickets.countDocuments();

    const answered = await sendGarbage(server, TicketService, {
      headers,
      known,
      good,
      runs: 100,
      seed: 1,
    });

    // A repeated request id makes one ticket, so there may be fewer tickets than successful calls.
    const made = (await deps.tickets.countDocuments()) - before;
    expect(made).toBeLessThanOrEqual(answered.get("CreateTicket") ?? 0);
    // Some of the garbage must be valid enough to be accepted.
    for (const { name } of TicketService.methods.filter((each) => each.name !== "OpenTicketCode")) {
      expect(answered.get(name), name).toBeGreaterThan(0);
    }
    // And what was accepted does not break any list.
    const seller = await as("seller");
    let seen = 0;
    let pageToken = "";
    do {
      const request = {
        pageSize: 100,
        pageToken,
        sellerId: "",
        availability: TicketAvailability.ANY,
      };
      const page = await server.connect(TicketService).listTickets(request, seller);
      seen += page.tickets.length;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(seen).toBe(await deps.tickets.countDocuments({ status: { $ne: "WITHDRAWN" } }));
  },
);
