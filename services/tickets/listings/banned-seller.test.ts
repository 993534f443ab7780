import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderHistory, testTickets } from "../testing.ts";

const eve = newId();
const quick = newId();
const { client, deleteUser, deps, get, handle, list, setBanned, recorded } = await testTickets();

describe("a seller who is banned", () => {
  it("has nothing on sale; after an unban, exactly what they had on sale before", async () => {
    const many = await Promise.all(Array.from({ length: 45 }, () => list({}, eve)));
    const [first] = many;
    const gone = await list({}, eve);
    await client.deleteTicket({ id: gone.id }, await as(eve));
    const others = await list({}, "ann");

    await setBanned(eve, 2, true);
    expect((await client.listTickets({ sellerId: eve })).tickets).toEqual([]);
    const out = await get(first!.id);
    expect(out).toMatchObject({ status: TicketStatus.WITHDRAWN, withdrawn: true, version: 2n });
    expect((await recorded(out.id)).at(-1)).toMatchObject({ type: "TicketUpdated", ticket: out });
    expect((await get(others.id)).version).toBe(1n);

    await setBanned(eve, 3, false);
    expect(await deps.tickets.countDocuments({ userId: eve, status: "ON_SALE" })).toBe(45);
    expect((await get(gone.id)).status).toBe(TicketStatus.WITHDRAWN);
  });

  it("has their listings processed once: withdrawn ones are not read again", async () => {
    const seller = newId();
    const [first] = await Promise.all(Array.from({ length: 200 }, () => list({}, seller)));
    const db = deps.tickets.db.db!;
    await db.setProfilingLevel("all");
    await setBanned(seller, 2, true);
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

  it("stays banned or unbanned as the newest event says, though events arrive late, twice and out of order", async () => {
    const { id } = await list({}, "mallory");
    await setBanned("mallory", 3, false);
    await setBanned("mallory", 2, true);
    expect((await get(id)).version).toBe(1n);
    await setBanned("mallory", 4, true);
    await setBanned("mallory", 4, true);
    expect(await get(id)).toMatchObject({ status: TicketStatus.WITHDRAWN, version: 2n });
  });

  it("also when events arrive at once", async () => {
    const { id } = await list({}, "many");
    const words = Array.from({ length: 10 }, (_, i) => setBanned("many", i + 2, i % 2 === 0));
    await Promise.all(words);
    expect((await get(id)).status).toBe(TicketStatus.ON_SALE);
  });

  it("keeps a current hold; when it ends, the ticket is withdrawn", async () => {
    const { id } = await list({}, "holder");
    const [created, cancelled] = orderHistory(id, 1, ["created", "cancelled"]);
    await handle(created!);
    await setBanned("holder", 2, true);
    expect(await get(id)).toMatchObject({ status: TicketStatus.HELD, withdrawn: true });
    await handle(cancelled!);
    expect((await get(id)).status).toBe(TicketStatus.WITHDRAWN);
    await setBanned("holder", 3, false);
    expect((await get(id)).status).toBe(TicketStatus.ON_SALE);
  });

  it("stays withdrawn once the account is deleted, whatever other events arrive, in whatever order", async () => {
    const words = [() => setBanned(gone, 4, true), () => setBanned(gone, 5, false)];
    const orders = [
      [() => deleteUser(gone, 3), ...words],
      [words[0]!, () => deleteUser(gone, 3), words[1]!],
      [...words, () => deleteUser(gone, 3)],
      [...words.toReversed(), () => deleteUser(gone, 3), ...words],
    ];
    let gone = "";
    for (const order of orders) {
      gone = newId();
      const [{ id }, held] = [await list({}, gone), await list({}, gone)];
      const [created, cancelled] = orderHistory(held.id, 1, ["created", "cancelled"]);
      await handle(created!);
      for (const word of order) await word();
      await handle(cancelled!);
      for (const each of [id, held.id]) {
        expect((await get(each)).status).toBe(TicketStatus.WITHDRAWN);
      }
    }
  });

  it("puts nothing on sale at the moment of the ban", async () => {
    await setBanned(quick, 2, true);
    const request = { requestId: crypto.randomUUID() };
    for (const _retry of [0, 1]) {
      expect(await refusal(list(request, quick))).toMatchObject({ reason: "BANNED" });
    }
    expect((await client.listTickets({ sellerId: quick })).tickets).toEqual([]);
  });
});
