import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { testClient } from "#runtime/testing/client.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { as } from "#runtime/testing/tokens.ts";
import { ticketEvents } from "./events.ts";
import { MAX_STALENESS_MS, publicReads } from "./public-reads.ts";
import { ticketRoutes } from "./rpc.ts";
import { orderHistory } from "./testing.ts";
import { ticketModel } from "./ticket.ts";

const database = await testDatabase();
let time = 1;

/** An instance of the service: only the database is shared. */
function instance() {
  const db = database.useDb(database.name);
  const deps = { tickets: ticketModel(db), banReplica: banReplicaModel(db), now: Date.now };
  const routes = ticketRoutes({ ...deps, publicReads: publicReads(deps.tickets, () => time) });
  const handlers = new Map(ticketEvents(deps).map((handler) => [handler.type, handler]));
  return { ...deps, handlers, client: testClient(TicketService, routes) };
}
const [one, other] = [instance(), instance()];
await buildIndexes(one.tickets);

const seller = await as("seller");
const price = { currencyCode: "EUR", units: 20n };
async function list(): Promise<Ticket> {
  const { ticket } = await one.client.createTicket({ title: "Concert", price }, seller);
  return ticket!;
}
const rename = (id: string, title: string) => one.client.updateTicket({ id, title, price }, seller);

type Reader = (headers?: typeof seller) => Promise<string | undefined>;
const titleAt =
  ({ client }: typeof one, id: string): Reader =>
  async (headers) =>
    (await client.getTicket({ id }, headers)).ticket?.title;
const titleInListAt =
  ({ client }: typeof one, id: string): Reader =>
  async (headers) =>
    (await client.listTickets({}, headers)).tickets.find((each) => each.id === id)?.title;

describe.each([
  ["a ticket", titleAt],
  ["a page", titleInListAt],
])("%s", (_, reader) => {
  it("shows a change at once to anonymous callers of the instance that stored it", async () => {
    const { id } = await list();
    const read = reader(one, id);
    expect(await read()).toBe("Concert");
    await rename(id, "New");
    expect(await read()).toBe("New");
  });

  it("shows a seller their own change at once, through whatever instance", async () => {
    const { id } = await list();
    const read = reader(other, id);
    time += MAX_STALENESS_MS + 1;
    expect(await read()).toBe("Concert");
    await rename(id, "New");
    expect(await read(seller)).toBe("New");
  });

  it("shows anonymous callers of another instance a change within a second", async () => {
    const { id } = await list();
    const read = reader(other, id);
    time += MAX_STALENESS_MS + 1;
    expect(await read()).toBe("Concert");
    time += MAX_STALENESS_MS - 1;
    await rename(id, "New");
    expect(await read()).toBe("Concert");
    time += 2;
    expect(await read()).toBe("New");
  });

  it("shows a hold at once on the instance that handles the order's event", async () => {
    const { id } = await list();
    await reader(one, id)();
    const [created] = orderHistory(id, 1, ["created"]);
    await one.handlers.get(created!.schema.typeName)?.handle({ order: created!.order } as never);
    const { ticket } = await one.client.getTicket({ id });
    expect(ticket?.status).toBe(TicketStatus.HELD);
    expect(await titleInListAt(one, id)()).toBeUndefined();
  });

  it("is read once for many callers at once", async () => {
    const { id } = await list();
    const db = one.tickets.db.db!;
    await db.setProfilingLevel("all");
    time += MAX_STALENESS_MS + 1;
    const before = await db.collection("system.profile").countDocuments({ op: "query" });
    const read = reader(one, id);
    expect(new Set(await Promise.all(Array.from({ length: 20 }, () => read())))).toEqual(
      new Set(["Concert"]),
    );
    await db.setProfilingLevel("off");
    const own = { op: "query", ns: { $regex: /\.tickets$/ } };
    expect((await db.collection("system.profile").countDocuments(own)) - before).toBe(1);
    await db.collection("system.profile").drop();
  });
});

it("does not keep a failure", async () => {
  const id = "019f0000-0000-7000-8000-000000000001";
  await expect(one.client.getTicket({ id })).rejects.toThrow();
  await one.tickets.create({
    ...{ _id: id, userId: "seller", title: "Late", price: 2_000, currency: "EUR" },
    ...{ status: "ON_SALE", eventOrder: new Date("9999-12-31") },
  });
  expect(await titleAt(one, id)()).toBe("Late");
});
