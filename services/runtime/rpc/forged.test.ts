import { create, toBinary } from "@bufbuild/protobuf";
import {
  OrderCreatedSchema,
  OrderSnapshotRequestedSchema,
} from "@ticketing/proto/orders/v1/order_events";
import type { GetMessage, Options } from "amqplib";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { subscribeToBans, type BanEvent } from "../identity/bans.ts";
import { toProperties } from "../messaging/topology/envelope.ts";
import { consume, on } from "../messaging/consumer.ts";
import { newId } from "../store/ids.ts";
import { ORIGINAL_PUBLISHER, publisherOf, publishersOf } from "../messaging/topology/ownership.ts";
import { eventually } from "../testing/eventually.ts";
import { recordedLog, silentLog } from "../testing/log.ts";
import { testBroker } from "../testing/broker.ts";
import {
  deadLetterQueue,
  EVENTS_EXCHANGE,
  immediateKey,
  QUEUES_EXCHANGE,
} from "../messaging/topology/topology.ts";

// A message counts only if the broker confirms that its owner published it, whatever its headers contain.

const service = "tickets";
const subscriptions = { [service]: [OrderCreatedSchema, OrderSnapshotRequestedSchema] };
const snapshots = [
  {
    request: OrderSnapshotRequestedSchema,
    snapshot: OrderCreatedSchema,
    requestedBy: ["payments", service],
  },
];
const broker = await testBroker(service, subscriptions);
const { raw } = broker;
const TYPE = OrderCreatedSchema.typeName;

let handled: string[];
let failing: boolean;
const { log, lines } = recordedLog();
beforeEach(() => {
  handled = [];
  failing = false;
  lines.length = 0;
});

async function listen(): Promise<void> {
  const stop = await consume({
    service,
    broker,
    handlers: [
      on(OrderCreatedSchema, ({ order }) => {
        handled.push(order?.id ?? "none");
        return failing ? Promise.reject(new Error("not yet")) : Promise.resolve();
      }),
      on(OrderSnapshotRequestedSchema, ({ requester }) => Promise.resolve(handled.push(requester))),
    ],
    publishers: publishersOf({ subscriptions, snapshots }),
    log,
    isFault: () => false,
    recovered: () => Promise.resolve(),
  });
  onTestFinished(stop);
}

/** Publishes a message as the connection of this user could. The tests' administrator may use any user ID. */
function say(id: string, userId: string | undefined, headers: object = {}): void {
  const body = toBinary(OrderCreatedSchema, create(OrderCreatedSchema, { order: { id } }));
  const about = { id: newId(), type: TYPE, source: "orders", subject: id, time: new Date() };
  const properties = toProperties(about);
  raw.publish(EVENTS_EXCHANGE, TYPE, Buffer.from(body), {
    ...properties,
    ...(userId === undefined ? {} : { userId }),
    headers: { ...(properties.headers as object), ...headers },
  });
}

const dead = (): Promise<GetMessage> =>
  eventually(() => raw.get(deadLetterQueue(service), { noAck: true }), "a dead letter");
const reasonOf = ({ properties }: GetMessage): unknown =>
  properties.headers?.["x-ticketing-reason"];

describe("an event", () => {
  it("of its owner is handled", async () => {
    await listen();
    say("o1", "orders");
    await eventually(() => handled.length === 1, "the event");
    expect(handled).toEqual(["o1"]);
  });

  it.each([
    ["another service", "expiration", "expiration"],
    ["the administrator", "admin", "admin"],
    ["a publisher without a user ID", undefined, "nobody known"],
  ])("of %s is refused, kept with its publisher, and raises an alarm", async (_, userId, name) => {
    await listen();
    say("forged", userId);
    say("good", "orders");
    const letter = await dead();
    expect(reasonOf(letter)).toBe(`forged: published by ${name}`);
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 50, alarm: true, type: TYPE, id: "forged" }),
    );
    await eventually(() => handled.length > 0, "the valid event");
    expect(handled).toEqual(["good"]);
  });

  it("is not trusted because of a header that names its owner", async () => {
    await listen();
    say("forged", "expiration", { [ORIGINAL_PUBLISHER]: "orders" });
    const letter = await dead();
    expect(reasonOf(letter)).toBe("forged: published by expiration");
    expect(publisherOf(letter.properties, service)).toBe("expiration");
    expect(handled).toEqual([]);
  });

  it("keeps its publisher when it is retried, so a forged one stays forged", async () => {
    await listen();
    failing = true;
    say("o1", "orders");
    await eventually(() => handled.length === 1, "the first try");
    failing = false;
    await eventually(() => handled.length === 2, "the second try");
    expect(handled).toEqual(["o1", "o1"]);

    const body = Buffer.from(
      toBinary(OrderCreatedSchema, create(OrderCreatedSchema, { order: { id: "o2" } })),
    );
    const again = async (publisher: string): Promise<void> => {
      const properties: Options.Publish = {
        type: TYPE,
        headers: { [ORIGINAL_PUBLISHER]: publisher },
      };
      await broker.publish(QUEUES_EXCHANGE, immediateKey(service), body, properties);
    };
    await again("expiration");
    expect(reasonOf(await dead())).toBe("forged: published by expiration");
    await again("orders");
    await eventually(() => handled.includes("o2"), "the valid event");
  });
});

it("a snapshot request is accepted only from the services that may send it", async () => {
  await listen();
  const type = OrderSnapshotRequestedSchema.typeName;
  const ask = (userId: string): void => {
    const request = create(OrderSnapshotRequestedSchema, { requester: userId });
    const body = Buffer.from(toBinary(OrderSnapshotRequestedSchema, request));
    raw.publish(EVENTS_EXCHANGE, type, body, { type, userId });
  };
  ask("auth");
  ask("payments");
  await eventually(() => handled.includes("payments"), "the request");
  expect(reasonOf(await dead())).toBe("forged: published by auth");
  expect(handled).toEqual(["payments"]);
});

it("a ban counts only if its owner published it", async () => {
  const BANNED = "ticketing.auth.v1.UserBanned";
  const read: BanEvent["read"] = (body) => ({
    userId: Buffer.from(body).toString(),
    version: 1,
    banned: true,
  });
  const load = () => Promise.resolve([]);
  const bans = await subscribeToBans({ broker, log, events: [{ type: BANNED, read }], load });
  onTestFinished(() => bans.close());
  const ban = (userId: string | undefined, who: string): void =>
    void raw.publish(EVENTS_EXCHANGE, BANNED, Buffer.from(who), {
      type: BANNED,
      ...(userId === undefined ? {} : { userId }),
    });
  ban("expiration", "eve");
  ban(undefined, "bob");
  ban("auth", "ann");
  await eventually(() => bans.isBanned("ann"), "the ban");
  expect([bans.isBanned("eve"), bans.isBanned("bob")]).toEqual([false, false]);
  expect(lines.filter(({ alarm }) => alarm)).toHaveLength(2);
});

it("a service does not start on a broker that lacks its topology, and logs what to do", async () => {
  const other = { ...subscriptions, other: [OrderCreatedSchema] };
  const said = recordedLog();
  const { connectBroker } = await import("../messaging/broker/broker.ts");
  const about = { url: broker.url, name: service, subscriptions: other, log: said.log };
  const waiting = connectBroker(about);
  const words = "the broker does not hold what this version needs; import its definitions";
  await eventually(() => said.lines.some(({ err }) => String(err).includes(words)), "the log line");
  await testBroker("other", other, { url: broker.url, log: silentLog }); // It declares the missing parts.
  const begun = await waiting;
  expect(begun.connected).toBe(true);
  await begun.close();
});
