import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { TicketSnapshotSchema } from "@ticketing/proto/tickets/v1/ticket_events";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { exportJWK } from "jose";
import type { Connection } from "mongoose";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  inject,
  it,
  onTestFinished,
} from "vitest";
import { catalogue } from "#marketplace/catalogue.ts";
import { newId } from "#runtime/store/ids.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { connectRedis } from "#runtime/store/redis.ts";
import { banSnapshot } from "#runtime/identity/ban-snapshot.ts";
import { markerOf } from "#runtime/messaging/snapshots/replica.ts";
import { SNAPSHOT_PAGE_SIZE } from "#runtime/messaging/snapshots/publisher.ts";
import { as, testPublicKey } from "#runtime/testing/tokens.ts";
import { declareAt, testVhost } from "#runtime/testing/broker.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { testDatabaseUri } from "#runtime/testing/database.ts";
import { type Child, freePorts, run, until } from "#stack/process";
import { ticketReplica } from "./orders/events.ts";
import { orderReplica } from "./payments/events.ts";
import { holdReplica, ticketSnapshots } from "./tickets/events.ts";
import type { TicketFields } from "./tickets/ticket.ts";

// The services run as separate processes, each with an empty database. No replica exists elsewhere.

const TICKETS = 3 * SNAPSHOT_PAGE_SIZE;
/** The maximum length in the contract, in characters of four bytes, for pages of the maximum size. */
const LARGEST = "\u{1f3ab}".repeat(200);
const vhost = await testVhost();
await declareAt(vhost, catalogue);
const jwk = { ...(await exportJWK(testPublicKey)), kid: "test", alg: "ES256" };
// No user is banned. The snapshot of bans is in a Redis database of its own.
const redisUri = `${inject("parts").redisUrl}/7`;
const redis = await connectRedis(redisUri, silentLog);
await banSnapshot(redis).rewrite([]);
redis.destroy();
const auth = createServer((_, res) => res.end(JSON.stringify({ keys: [jwk] })));
await once(auth.listen(0, "127.0.0.1"), "listening");

const uris = {
  tickets: testDatabaseUri(),
  orders: testDatabaseUri(),
  payments: testDatabaseUri(),
};
type Name = keyof typeof uris;

/** The log lines of all services. */
const said: Record<string, unknown>[] = [];

/** A process of a service. Its ports stay the same when it restarts. */
async function process(service: Name) {
  const [rpc, http] = (await freePorts(2)) as [number, number];
  let child: Child;
  function start(): void {
    child = run(
      service,
      globalThis.process.execPath,
      [join(import.meta.dirname, service, "main.ts")],
      {
        env: {
          HOST: "127.0.0.1",
          RPC_PORT: String(rpc),
          HTTP_PORT: String(http),
          AMQP_URI: vhost,
          MONGODB_URI: uris[service],
          REDIS_URI: redisUri,
          JWKS_URI: `http://127.0.0.1:${(auth.address() as AddressInfo).port}/`,
          STRIPE_KEY: "sk_test_nothing",
          STRIPE_WEBHOOK_SECRET: "whsec_nothing",
          STRIPE_API_BASE: "http://127.0.0.1:1",
        },
        onLine: (line) => {
          if (line.startsWith("{")) said.push(JSON.parse(line) as Record<string, unknown>);
        },
      },
    );
  }
  /** The status of its readiness: 200 when it is ready. Rejects if the process does not listen. */
  const status = async (): Promise<number> =>
    (await fetch(`http://127.0.0.1:${http}/readyz`)).status;
  start();
  return {
    rpc: `http://127.0.0.1:${rpc}`,
    start,
    status,
    ready: () =>
      until(async () => (await status()) === 200, {
        what: `${service} to be ready`,
        timeoutMs: 60_000,
        child,
      }),
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
type Process = Awaited<ReturnType<typeof process>>;

interface Copy {
  _id: string;
  version: number;
}

let services: Record<Name, Process>;
let dbs: Record<Name, Connection>;
beforeAll(async () => {
  const names = Object.keys(uris) as Name[];
  const of = async <T>(make: (name: Name) => Promise<T>): Promise<Record<Name, T>> =>
    Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await make(name)] as const)),
    ) as Record<Name, T>;
  dbs = await of((name) => connectDatabase(uris[name], silentLog));
  services = await of(process);
  await Promise.all(Object.values(services).map(({ ready }) => ready()));
});
afterAll(async () => {
  await Promise.all(Object.values(services).map((service) => service.kill()));
  await Promise.all(
    Object.values(dbs).map(async (db) => {
      await db.dropDatabase();
      await db.close();
    }),
  );
  auth.close();
});

// Only the names of the replicas are read, so their dependencies may be empty.
const none = {} as never;
/** The id of the marker of each service's replica. */
const markers = {
  tickets: markerOf(holdReplica(none)),
  orders: markerOf(ticketReplica(none)),
  payments: markerOf(orderReplica(none)),
};

interface Marker {
  requestId: string;
  pageToken: string;
  things: number;
  doneTime?: Date;
}

const marker = async (): Promise<Marker | null> =>
  dbs.orders.collection<Marker & { _id: string }>("bootstrap").findOne({ _id: markers.orders });
const isDone = async (): Promise<boolean> => (await marker())?.doneTime !== undefined;

async function loseCopies(): Promise<void> {
  await dbs.orders.collection("tickets").deleteMany({});
  await dbs.orders.collection("bootstrap").deleteMany({});
}

const all = (db: Connection): Promise<Copy[]> =>
  db
    .collection<Copy>("tickets")
    .find({}, { projection: { title: 1, price: 1, priceVersion: 1, withdrawn: 1, version: 1 } })
    .sort({ _id: 1 })
    .toArray();

/** Waits for the remaining events, and expects each replica to equal its owner's data. */
async function expectEqualCopies(): Promise<void> {
  const versions = async (db: Connection): Promise<string> =>
    (await all(db)).map(({ _id, version }) => `${_id} ${version}`).join();
  await eventually(
    async () => (await versions(dbs.orders)) === (await versions(dbs.tickets)),
    "orders to receive all events",
    60_000,
  );
  expect(await all(dbs.orders)).toEqual(await all(dbs.tickets));
}

const client = () =>
  createClient(TicketService, createGrpcTransport({ baseUrl: services.tickets.rpc }));
const price = { currencyCode: "EUR", units: 20n };

/** Edits one ticket after another until it is stopped. Returns the number of edits. */
function keepEditing(): () => Promise<number> {
  let stopped = false;
  const edits = (async () => {
    const ids = (await all(dbs.tickets)).map(({ _id }) => _id);
    for (let i = 0; ; i += 1) {
      if (stopped) return i;
      const id = ids[(i * 7) % ids.length] ?? "";
      await client().updateTicket({ id, title: `Edit ${i}`, price }, await as("seller"));
    }
  })();
  const stop = (): Promise<number> => {
    stopped = true;
    return edits;
  };
  onTestFinished(async () => void (await stop()));
  return stop;
}

/** Waits until orders is ready: it is not ready before its replica is complete. */
async function readyWithAll(): Promise<void> {
  await until(async () => (await services.orders.status()) === 200, {
    what: "orders to be ready",
    timeoutMs: 60_000,
    everyMs: 5,
  });
  const stored = await dbs.orders.collection("bootstrap").find().toArray();
  expect(
    await isDone(),
    `orders is ready, but its replica "${markers.orders}" is not complete: ${JSON.stringify(stored)}`,
  ).toBe(true);
}

it("all services start with empty databases at the same time", async () => {
  for (const [service, copies] of Object.entries(markers) as [Name, string][]) {
    const found = await dbs[service].collection<Marker & { _id: string }>("bootstrap").findOne({});
    expect(found).toMatchObject({ _id: copies, things: 0, doneTime: expect.any(Date) as Date });
  }
});

describe(`orders without its replica of ${TICKETS} tickets`, { timeout: 120_000 }, () => {
  // The tickets are inserted into the owner's database, so no event announces them.
  beforeAll(async () => {
    const { ticket } = await client().createTicket({ title: "One", price }, await as("seller"));
    const tickets = dbs.tickets.collection<Copy>("tickets");
    await eventually(() => tickets.findOne({ outbox: [] }), "its event to be published");
    const one = await tickets.findOne({ _id: ticket?.id ?? "" });
    const others = Array.from({ length: TICKETS - 1 }, (_, i) => ({
      ...one,
      _id: newId(),
      title: `${LARGEST.slice(8)}${String(i).padStart(4)}`,
      venue: LARGEST,
    }));
    await tickets.insertMany(others as Copy[]);
  });
  beforeEach(async () => {
    await services.orders.kill();
    await loseCopies();
  });

  it("receives them in messages of moderate size", async () => {
    const tickets = dbs.tickets.collection<TicketFields>("tickets");
    const page = await tickets.find({ venue: LARGEST }).limit(SNAPSHOT_PAGE_SIZE).toArray();
    const told = ticketSnapshots(none).toPage(page);
    const bytes = toBinary(TicketSnapshotSchema, create(TicketSnapshotSchema, told)).length;
    expect(bytes).toBeGreaterThan(SNAPSHOT_PAGE_SIZE * 1_600);
    expect(bytes).toBeLessThan(512 * 1_024);
  });

  it("receives them while they change, and continues after it is killed", async () => {
    const stopEditing = keepEditing();
    services.orders.start();
    const halfway = await eventually(
      async () => {
        const now = await marker();
        return now?.pageToken && !now.doneTime ? now : undefined;
      },
      "a page to be stored",
      60_000,
    );
    await services.orders.kill();

    services.orders.start();
    await readyWithAll();
    // Every stored page counts: after a restart from the first page, there would be more.
    expect(await marker()).toMatchObject({ requestId: halfway.requestId, things: TICKETS });
    expect(await stopEditing()).toBeGreaterThan(0);
    await expectEqualCopies();
  });

  it("waits for tickets while it is down, and logs that", async () => {
    await services.tickets.kill();
    said.length = 0;
    services.orders.start();
    await eventually(
      () => said.some(({ msg }) => msg === "still waiting for tickets; asking again"),
      "orders to log that it is waiting",
      60_000,
    );
    expect(await services.orders.status()).toBe(503);
    expect(await isDone()).toBe(false);
    services.tickets.start();
    await readyWithAll();
    expect(await marker()).toMatchObject({ things: TICKETS });
    await services.tickets.ready();
    await expectEqualCopies();
  });

  it("stores them only once with two instances", async () => {
    services.orders.start();
    const second = await process("orders");
    await Promise.all([services.orders.ready(), second.ready()]);
    expect(await marker()).toMatchObject({ things: TICKETS });
    await expectEqualCopies();
    await second.kill();
  });
});
