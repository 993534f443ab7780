import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { commandsOf } from "#runtime/testing/database.ts";
import { as } from "#runtime/testing/tokens.ts";
import { orderHistory, testTickets } from "../testing.ts";

// What each change costs at the database. A command more is a round trip that every user waits for.

const { db, list, client, handle } = await testTickets();

describe("the database commands of", () => {
  it("CreateTicket: one write, and one read that finds a ban", async () => {
    const commands = await commandsOf(db, () => list({ requestId: newId() }));
    expect(commands).toEqual(["insert tickets", "find users"]);
  });

  it("a repeated CreateTicket: one read more", async () => {
    const requestId = newId();
    await list({ requestId });
    const commands = await commandsOf(db, () => list({ requestId }));
    expect(commands).toEqual(["insert tickets", "find tickets", "find users"]);
  });

  it("UpdateTicket: one read and one write", async () => {
    const { id, price } = await list();
    const edited = { id, title: "Another concert", ...(price && { price }) };
    const commands = await commandsOf(db, async () =>
      client.updateTicket(edited, await as("seller")),
    );
    expect(commands).toEqual(["find tickets", "update tickets"]);
  });

  it("an order's event: one read and one write, and only the read if it is stale", async () => {
    const { id } = await list();
    const [created] = orderHistory(id, 1, ["created"]);
    if (!created) throw new Error("no event");
    expect(await commandsOf(db, () => handle(created))).toEqual(["find tickets", "update tickets"]);
    expect(await commandsOf(db, () => handle(created))).toEqual(["find tickets"]);
  });
});
