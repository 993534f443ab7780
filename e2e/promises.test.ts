import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { getOption } from "@bufbuild/protobuf";
import { access, Access } from "@ticketing/proto/options/v1/options";
import { OrderFilter } from "@ticketing/proto/orders/v1/order_service";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { services } from "#marketplace/catalogue.ts";
import { until } from "#stack/process";
import { buy, holdEndOf, listTicket, signUp, fetchTicket, type Person } from "./testing/person.ts";
import { toRpcError } from "./testing/rpc-error.ts";
import "./testing/setup.ts"; // For the type of what it provides.

// Requirements of the whole system, at the size of a test, by their numbers.

const { url, control } = inject("marketplace");

let seller: Person;
let buyers: Person[];
beforeAll(async () => {
  seller = await signUp(url, "seller");
  buyers = await Promise.all(Array.from({ length: 8 }, (_, i) => signUp(url, `buyer-${i}`)));
});

const of = <T>(list: readonly T[], i: number): T => list[i % list.length] as T;

describe("P2: a retried CreateOrder", () => {
  it("creates one order, also after a response that the client did not wait for", async () => {
    const tickets = await Promise.all(
      Array.from({ length: 48 }, (_, i) => listTicket(seller, `Retry ${i}`)),
    );
    const made = await Promise.all(
      tickets.map(async (ticket, i) => {
        const { orders } = of(buyers, i);
        const request = {
          ticketId: ticket.id,
          ticketVersion: ticket.version,
          requestId: crypto.randomUUID(),
        };
        const impatient = orders.createOrder(request, { signal: AbortSignal.timeout(5) });
        const calls = [impatient, orders.createOrder(request), orders.createOrder(request)];
        const answers = await Promise.allSettled(calls);
        const ids = answers.flatMap((one) =>
          one.status === "fulfilled" ? [one.value.order?.id] : [],
        );
        expect(ids.length).toBeGreaterThanOrEqual(2);
        expect(new Set(ids).size).toBe(1);
        return ids[0];
      }),
    );
    expect(new Set(made).size).toBe(tickets.length);
    const lists = await Promise.all(
      buyers.map(({ orders }) => orders.listOrders({ filter: OrderFilter.ACTIVE, pageSize: 100 })),
    );
    expect(lists.flatMap(({ orders }) => orders)).toHaveLength(tickets.length);
    const all = lists.flatMap(({ orders }) => orders);
    await Promise.all(
      all.map(({ id, userId }) =>
        buyers.find((one) => one.id === userId)?.orders.cancelOrder({ id }),
      ),
    );
  });
});

describe("P3: an edit that races a purchase", () => {
  it("changes the price of no order, and fails once the hold is known", async () => {
    const outcomes = { bought: 0, refused: 0, editedBefore: 0 };
    await Promise.all(
      Array.from({ length: 40 }, async (_, round) => {
        const buyer = of(buyers, round);
        const ticket = await listTicket(seller, `Edit ${round}`);
        const dearer = {
          id: ticket.id,
          title: "Dearer",
          price: { currencyCode: "EUR", units: 99n },
        };
        const [edit, order] = await Promise.all([
          seller.tickets.updateTicket(dearer).then(() => undefined, toRpcError),
          buy(buyer, ticket).catch(toRpcError),
        ]);
        if ("code" in order) {
          // The edit was first, and orders had received it.
          expect(order.reason).toBe("TICKET_CHANGED");
          outcomes.refused += 1;
          return;
        }
        expect(order.price).toMatchObject({ units: 25n, nanos: 500_000_000 });
        outcomes.bought += 1;
        if (edit) expect(edit.reason).toBe("TICKET_HELD");
        else outcomes.editedBefore += 1;
        await until(async () => (await fetchTicket(seller, ticket)).status === TicketStatus.HELD, {
          what: "tickets to hear of the hold",
        });
        const late = await seller.tickets.updateTicket(dearer).then(() => undefined, toRpcError);
        expect(late).toMatchObject({
          reason: "TICKET_HELD",
          metadata: { until: holdEndOf(order).toISOString() },
        });
        await buyer.orders.cancelOrder({ id: order.id });
      }),
    );
    console.log(outcomes);
    expect(outcomes.bought + outcomes.refused).toBe(40);
  });
});

const MEGABYTE = 1 << 20;
const memoryOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

/** Sends a body over HTTP/2 until it is rejected; returns the status, or how the stream ended. */
function send(path: string, headers: Record<string, string>, body: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const session = connect(url);
    const stream = session.request({ ":method": "POST", ":path": path, ...headers });
    let told = "reset";
    const done = () => {
      session.destroy();
      resolve(told);
    };
    stream.on(
      "response",
      (head) => (told = `${head[":status"]} ${head["grpc-status"] ?? ""}`.trim()),
    );
    stream.on("trailers", (trailer) => (told = `${told.split(" ")[0]} ${trailer["grpc-status"]}`));
    // After an early rejection the rest of the body is not read, and the response ends the call.
    stream.on("error", done).on("end", done).on("close", done).resume();
    session.on("error", done);
    stream.end(body);
  });
}

describe("P34: a message that is too large", () => {
  it("is rejected early on every method, and uses no memory", async () => {
    const pids = (await (await fetch(`${control}/pids`)).json()) as number[];
    const before = new Map(pids.map((pid) => [pid, memoryOf(pid)]));
    const { token } = seller;
    const bomb = gzipSync(Buffer.alloc(100 * MEGABYTE, 32));
    const plain = Buffer.alloc(MEGABYTE, 32);
    const framed = (bytes: Buffer, flag: number): Buffer => {
      const head = Buffer.alloc(5);
      head.writeUInt8(flag, 0);
      head.writeUInt32BE(bytes.length, 1);
      return Buffer.concat([head, bytes]);
    };
    for (const method of services.flatMap((service) => service.methods)) {
      if (getOption(method, access) === Access.INTERNAL) continue;
      const path = `/${method.parent.typeName}/${method.name}`;
      const bearer = { authorization: `Bearer ${token}` };
      const json = { ...bearer, "content-type": "application/json" };
      const grpc = { ...bearer, "content-type": "application/grpc", te: "trailers" };
      // Compressed twice, by a factor of a thousand, so it is small on the wire.
      const gzip = gzipSync(bomb);
      const told = await Promise.all([
        send(path, json, plain),
        send(path, { ...json, "content-encoding": "gzip" }, bomb),
        send(path, grpc, framed(plain, 0)),
        send(path, { ...grpc, "grpc-encoding": "gzip" }, framed(gzip, 1)),
      ]);
      for (const answer of told) {
        expect(answer, `${path}: ${told.join(", ")}`).toMatch(/^(400|413|429|200 3|200 8|reset)/);
      }
    }
    expect(
      await send(
        "/api/tickets",
        { "content-type": "application/json" },
        Buffer.alloc(100 * MEGABYTE, 32),
      ),
    ).toMatch(/^(401|413|reset)/);
    const growth = pids.map((pid) => memoryOf(pid) - (before.get(pid) ?? 0));
    console.log(`memory grew by at most ${Math.max(...growth).toFixed(0)} MB in one process`);
    expect(Math.max(...growth)).toBeLessThan(300); // Ten times the bound of 30 MB.
  });
});

describe("P33: requests that never end", () => {
  it("do not slow down other requests", async () => {
    const sessions = Array.from({ length: 11 }, () => connect(url));
    try {
      const path = "/ticketing.tickets.v1.TicketService/ListTickets";
      for (const session of sessions) {
        session.on("error", () => undefined);
        for (let i = 0; i < 100; i += 1) {
          const headers = { ":method": "POST", ":path": path, "content-type": "application/json" };
          const stream = session.request(headers);
          stream.on("error", () => undefined).resume();
          stream.write("{"); // The rest never follows.
        }
      }
      // The edge has received all of them once it responds to a ping behind them.
      await Promise.all(
        sessions.map((session) => new Promise((done) => session.ping(() => done(undefined)))),
      );
      for (let i = 0; i < 10; i += 1) {
        expect((await fetch(`${url}/api/tickets`)).status).toBe(200);
      }
    } finally {
      for (const session of sessions) session.destroy();
    }
  });
});
