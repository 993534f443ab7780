import { setTimeout as sleep } from "node:timers/promises";
import { mongo } from "mongoose";
import { FLOOR_EDGE, type Floors } from "../floors/servers.ts";
import type { Target } from "../load/load.ts";
import { once, repeated, type Workload } from "../workload.ts";
import { loads } from "../workloads/loads.ts";
import { RIVAL, RIVAL_MONGO, type Rival } from "./start.ts";

// The rival stands behind the bare Envoy of the floors, as an Express service stands behind some proxy.

const TICKETS = 200;
const PAGE = 100;
const SETTLE_MS = 50;
const reading = { side: "rival", connections: 32 } as const;
const processes = [FLOOR_EDGE, RIVAL, RIVAL_MONGO];
/** RabbitMQ is that of the marketplace, which does nothing in the meantime. */
const withEvents = [...processes, "rabbitmq"];

/** The requests of one signed-in user to the rival. */
function requestsOf({ urls }: Floors, { headers }: Rival) {
  const send = (method: string, path: string, body?: object): Target => ({
    method,
    url: urls.rival + path,
    headers,
    ...(body ? { body: Buffer.from(JSON.stringify(body)) } : {}),
  });
  const newTicket = (i: number): Target =>
    send("POST", "/api/tickets", { title: `Ticket ${i}`, price: 25.5 });
  return { send, newTicket };
}

/** Creates tickets, and returns their ids once orders has replicated them. */
async function createTickets(floors: Floors, rival: Rival, count: number): Promise<string[]> {
  const { newTicket } = requestsOf(floors, rival);
  const ids: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const { method, url, headers, body } = newTicket(i);
    const response = await fetch(url, { method, headers, body: Buffer.from(body ?? []) });
    if (!response.ok) throw new Error(`the rival created no ticket: ${await response.text()}`);
    ids.push(((await response.json()) as { _id: string })._id);
  }
  const copies = rival.database.collection("orderedtickets");
  const wanted = ids.map((id) => new mongo.ObjectId(id));
  while ((await copies.countDocuments({ _id: { $in: wanted } })) < count) await sleep(SETTLE_MS);
  return ids;
}

/** Resolves when the queues have been empty twice, so that the last handler has also ended. */
async function settled(rival: Rival): Promise<void> {
  for (let empty = 0; empty < 2;) {
    await sleep(SETTLE_MS);
    empty = (await rival.isDelivered()) ? empty + 1 : 0;
  }
}

export async function rivalList(floors: Floors, rival: Rival): Promise<Workload[]> {
  const { send } = requestsOf(floors, rival);
  await createTickets(floors, rival, TICKETS);
  return [
    repeated({
      ...reading,
      family: "list",
      name: "rival-list",
      title: "list of 100, rival",
      perSecond: 100,
      processes,
      targets: [send("GET", "/api/tickets")],
    }),
  ];
}

export async function rivalTicket(floors: Floors, rival: Rival): Promise<Workload[]> {
  const { send } = requestsOf(floors, rival);
  const ids = await createTickets(floors, rival, PAGE);
  return [
    repeated({
      ...reading,
      family: "ticket",
      name: "rival-ticket",
      title: "one ticket, rival",
      perSecond: 200,
      processes,
      targets: ids.map((id) => send("GET", `/api/tickets/${id}`)),
    }),
  ];
}

export const rivalUser = (floors: Floors, rival: Rival): Workload[] => [
  repeated({
    ...reading,
    family: "user",
    name: "rival-user",
    title: "current user, rival",
    perSecond: 200,
    processes: [FLOOR_EDGE, RIVAL],
    targets: [requestsOf(floors, rival).send("GET", "/api/users/currentuser")],
  }),
];

export const rivalCreate = (floors: Floors, rival: Rival): Workload[] => [
  once({
    side: "rival",
    family: "create",
    name: "rival-create",
    title: "create a ticket, rival (not durable)",
    ...loads.create,
    processes: withEvents,
    targets: async (count) =>
      Array.from({ length: count }, (_, i) => requestsOf(floors, rival).newTicket(i)),
    settled: () => settled(rival),
  }),
];

export const rivalHold = (floors: Floors, rival: Rival): Workload[] => [
  once({
    side: "rival",
    family: "hold",
    name: "rival-hold",
    title: "create an order, rival (not durable)",
    ...loads.hold,
    processes: withEvents,
    async targets(count) {
      const ids = await createTickets(floors, rival, count);
      const { send } = requestsOf(floors, rival);
      return ids.map((ticketId) => send("POST", "/api/orders", { ticketId }));
    },
    settled: () => settled(rival),
  }),
];
