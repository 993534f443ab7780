import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderLife, testTickets } from "./testing.ts";

const eve = newId();
const quick = newId();
const { client, deletion, deps, get, hear, list, standing, told } = await testTickets();

describe("a seller who is banned", () => {
  it("has nothing on sale; let in again, exactly what they had", async () => {
    const many = await Promise.all(Array.from({ length: 45 }, () => list({}, eve)));
    const [first] = many;
    const gone = await list({}, eve);
    await client.deleteTicket({ id: gone.id }, await as(eve));
    const others = await list({}, "ann");

    await standing(eve, 2, true);
    expect((await client.listTickets({ sellerId: eve })).tickets).toEqual([]);
    const out = await get(first!.id);
    expect(out).toMatchObject({ status: TicketStatus.WITHDRAWN, withdrawn: true, version: 2n });
    expect((await told(out.id)).at(-1)).toMatchObject({ type: "TicketUpdated", ticket: out });
    expect((await get(others.id)).version).toBe(1n);

    await standing(eve, 3, false);
    expect(await deps.tickets.countDocuments({ userId: eve, status: "ON_SALE" })).toBe(45);
    expect((await get(gone.id)).status).toBe(TicketStatus.WITHDRAWN);
  });

  it("is gone through once: what has left the market is not looked at again for those behind it", async () => {
    const seller = newId();
    const [first] = await Promise.all(Array.from({ length: 200 }, () => list({}, seller)));
    const db = deps.tickets.db.db!;
    await db.setProfilingLevel("all");
    await standing(seller, 2, true);
    await db.setProfilingLevel("off");
    expect((await get(first!.id)).withdrawn).toBe(true);
    const looked = await db
      .collection("system.profile")
      .aggregate<{ docs: number }>([
        { $match: { "command.find": "tickets", "command.filter.userId": seller } },
        { $group: { _id: null, docs: { $sum: "$docsExamined" } } },
      ])
      .toArray();
    expect(looked[0]!.docs).toBeGreaterThan(199);
    expect(looked[0]!.docs).toBeLessThan(400);
  });

  it("is told of late, twice and out of order, and the newest word counts", async () => {
    const { id } = await list({}, "mallory");
    await standing("mallory", 3, false);
    await standing("mallory", 2, true);
    expect((await get(id)).version).toBe(1n);
    await standing("mallory", 4, true);
    await standing("mallory", 4, true);
    expect(await get(id)).toMatchObject({ status: TicketStatus.WITHDRAWN, version: 2n });
  });

  it("of words that come at once too", async () => {
    const { id } = await list({}, "many");
    const words = Array.from({ length: 10 }, (_, i) => standing("many", i + 2, i % 2 === 0));
    await Promise.all(words);
    expect((await get(id)).status).toBe(TicketStatus.ON_SALE);
  });

  it("keeps a hold as it is; when it ends, the ticket is off the market", async () => {
    const { id } = await list({}, "holder");
    const [created, cancelled] = orderLife(id, 1, ["created", "cancelled"]);
    await hear(created!);
    await standing("holder", 2, true);
    expect(await get(id)).toMatchObject({ status: TicketStatus.HELD, withdrawn: true });
    await hear(cancelled!);
    expect((await get(id)).status).toBe(TicketStatus.WITHDRAWN);
    await standing("holder", 3, false);
    expect((await get(id)).status).toBe(TicketStatus.ON_SALE);
  });

  it("stays away once the account is deleted, whatever else is said of it, in whatever order", async () => {
    const words = [() => standing(gone, 4, true), () => standing(gone, 5, false)];
    const orders = [
      [() => deletion(gone, 3), ...words],
      [words[0]!, () => deletion(gone, 3), words[1]!],
      [...words, () => deletion(gone, 3)],
      [...words.toReversed(), () => deletion(gone, 3), ...words],
    ];
    let gone = "";
    for (const order of orders) {
      gone = newId();
      const [{ id }, held] = [await list({}, gone), await list({}, gone)];
      const [created, cancelled] = orderLife(held.id, 1, ["created", "cancelled"]);
      await hear(created!);
      for (const word of order) await word();
      await hear(cancelled!);
      for (const each of [id, held.id]) {
        expect((await get(each)).status).toBe(TicketStatus.WITHDRAWN);
      }
    }
  });

  it("puts nothing on sale in the moment of the ban", async () => {
    await standing(quick, 2, true);
    const request = { requestId: crypto.randomUUID() };
    for (const _retry of [0, 1]) {
      expect(await refusal(list(request, quick))).toMatchObject({ reason: "BANNED" });
    }
    expect((await client.listTickets({ sellerId: quick })).tickets).toEqual([]);
  });
});
