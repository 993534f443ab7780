import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type Channel, type ChannelModel, type ConfirmChannel } from "amqplib";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { catalogue, snapshots, subscriptions } from "#marketplace/catalogue.ts";
import {
  deadLetterQueue,
  EVENTS_EXCHANGE,
  QUEUES_EXCHANGE,
  topologyOf,
  delayQueue,
} from "#runtime/messaging/topology/topology.ts";
import { startRabbit, type Rabbit } from "./rabbit.ts";

// Uses each service's own credentials on the real broker, as an attacker who has stolen them would.

const services = Object.keys(subscriptions);
const dir = mkdtempSync(join(tmpdir(), "permissions-"));
let rabbit: Rabbit;

beforeAll(async () => {
  const told = { secret: () => "secret", log: () => undefined };
  rabbit = await startRabbit({ dir, services, rights: catalogue, ...told });
}, 120_000);
afterAll(async () => {
  for (const connection of connections.values()) await (await connection).close();
  await rabbit?.stop();
  rmSync(dir, { recursive: true });
}, 30_000);

const connections = new Map<string, Promise<ChannelModel>>();

async function connected(user: string): Promise<ChannelModel> {
  const connection = await connect(rabbit.url(user));
  connection.on("error", () => undefined);
  return connection;
}

/** The broker's error for an action on a channel of its own, or "done" if the broker allows it. */
async function attempt(
  user: string,
  act: (channel: ConfirmChannel) => Promise<unknown>,
): Promise<string> {
  const connection = connections.get(user) ?? connected(user);
  connections.set(user, connection);
  const channel = await (await connection).createConfirmChannel();
  let said: string | undefined;
  channel.on("error", (error: Error) => (said ??= error.message));
  const ended = new Promise<void>((resolve) => channel.once("close", resolve));
  try {
    await act(channel);
    // The broker rejects a publication later, by closing the channel.
    await Promise.race([channel.waitForConfirms(), ended]);
    return said ?? "done";
  } catch (error) {
    return said ?? (error as Error).message;
  } finally {
    await channel.close().catch(() => undefined);
  }
}

const refused = expect.stringMatching(
  /ACCESS_REFUSED|RESOURCE_LOCKED|PRECONDITION_FAILED/,
) as string;
/** A short description of an action, and the action. */
type Try = [what: string, act: (channel: ConfirmChannel) => Promise<unknown>];

/** Runs all actions concurrently, because each mostly waits for the broker. */
async function mustAllBeRefused(user: string, tries: readonly Try[]): Promise<void> {
  const tried = tries.map(async ([what, act]) => [what, await attempt(user, act)]);
  const answers = await Promise.all(tried);
  expect(answers).toEqual(tries.map(([what]) => [what, refused]));
}

const body = Buffer.from("forged");
const publish =
  (exchange: string, key: string, properties: object = {}) =>
  (channel: Channel): Promise<void> => {
    channel.publish(exchange, key, body, properties);
    return Promise.resolve();
  };

const typesOf = (owner: string): string[] => [
  ...new Set(
    Object.values(subscriptions)
      .flat()
      .map(({ typeName }) => typeName)
      .filter((type) => type.startsWith(`ticketing.${owner}.`)),
  ),
];
const requests = new Map(
  snapshots.map(({ request, requestedBy }) => [request.typeName, requestedBy]),
);
const queues = topologyOf(catalogue).queues.map(({ name }) => name);

describe.each(services)("the credentials of %s", (user) => {
  const others = services.filter((name) => name !== user);
  const isOwn = (queue: string): boolean => queue === user || queue === deadLetterQueue(user);
  const foreign = queues.filter((queue) => !isOwn(queue));

  it("cannot publish events of another service", async () => {
    const tries: Try[] = [];
    for (const type of others.flatMap(typesOf)) {
      if (requests.get(type)?.includes(user)) continue;
      tries.push([type, publish(EVENTS_EXCHANGE, type)]);
    }
    for (const { snapshot } of snapshots) {
      if (snapshot.typeName.startsWith(`ticketing.${user}.`)) continue;
      const key = `${snapshot.typeName}.${others[0]}`;
      tries.push([key, publish(EVENTS_EXCHANGE, key)]);
    }
    await mustAllBeRefused(user, tries);
  });

  it("cannot add messages to another service's queue through any exchange", async () => {
    const tries: Try[] = [];
    for (const other of others) {
      for (const key of ["now", "dead", "wait.1s", "wait.0.2s"].map((way) => `${other}.${way}`)) {
        tries.push([key, publish(QUEUES_EXCHANGE, key)]);
      }
      tries.push([other, publish("", other)]);
      tries.push([other, publish("", deadLetterQueue(other))]);
    }
    for (const exchange of ["amq.topic", "amq.direct", "amq.fanout", "ticketing.waited"]) {
      tries.push([exchange, publish(exchange, `${user}.now`)]);
    }
    tries.push(["own", publish("", user)]);
    await mustAllBeRefused(user, tries);
  });

  it("cannot consume, purge or delete another service's queue", async () => {
    const tries: Try[] = [];
    for (const queue of foreign) {
      tries.push([queue, (channel) => channel.get(queue)]);
      const consume = (channel: Channel) => channel.consume(queue, () => undefined);
      tries.push([queue, consume]);
      tries.push([queue, (channel) => channel.purgeQueue(queue)]);
    }
    for (const queue of queues) {
      const gone = (channel: Channel) => channel.deleteQueue(queue);
      tries.push([queue, gone]);
    }
    await mustAllBeRefused(user, tries);
  });

  it("cannot change queues, exchanges or bindings", async () => {
    const tries: Try[] = [];
    for (const queue of queues) {
      const bound = (channel: Channel) => channel.bindQueue(queue, EVENTS_EXCHANGE, "#");
      tries.push([queue, bound]);
      const unbound = (channel: Channel) =>
        channel.unbindQueue(queue, QUEUES_EXCHANGE, `${user}.now`);
      tries.push([queue, unbound]);
    }
    for (const { name } of topologyOf(catalogue).exchanges) {
      tries.push([name, (c) => c.deleteExchange(name)]);
      tries.push([name, (c) => c.assertExchange(name, "topic")]);
    }
    for (const name of [`${user}.more`, "more", delayQueue(1), "amq.gen-own", "amq.gen-"]) {
      tries.push([name, (c) => c.assertQueue(name)]);
      tries.push([name, (c) => c.assertExchange(name, "topic")]);
    }
    const led = (to: string, from: string, key: string) => (channel: Channel) =>
      channel.bindExchange(to, from, key);
    for (const key of ["#", `${others[0]}.now`, "ticketing.orders.v1.OrderCompleted"]) {
      tries.push([key, led(QUEUES_EXCHANGE, EVENTS_EXCHANGE, key)]);
      tries.push([key, led(EVENTS_EXCHANGE, QUEUES_EXCHANGE, key)]);
      tries.push([key, led(QUEUES_EXCHANGE, "amq.topic", key)]);
    }
    await mustAllBeRefused(user, tries);
  });

  it("can subscribe to ban events only, and have no access to another instance's queue", async () => {
    const tries: Try[] = [];
    const listen = (key: string) => async (channel: Channel) => {
      const { queue } = await channel.assertQueue("", { exclusive: true });
      await channel.bindQueue(queue, EVENTS_EXCHANGE, key);
    };
    for (const key of ["#", "ticketing.#", "*.*.*.*", "ticketing.orders.v1.OrderCompleted"]) {
      tries.push([key, listen(key)]);
    }
    const connection = await connect(rabbit.url(others[0] ?? ""));
    onTestFinished(() => connection.close());
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue("", { exclusive: true });
    tries.push(["own", (c) => c.consume(queue, () => undefined)]);
    tries.push(["own", (c) => c.bindQueue(queue, EVENTS_EXCHANGE, "#")]);
    tries.push(["own", (c) => c.purgeQueue(queue)]);
    await mustAllBeRefused(user, tries);
  });

  it("cannot publish in the name of another user", async () => {
    const key = `ticketing.${user}.v1.Anything`;
    const as = (userId: string) => publish(EVENTS_EXCHANGE, key, { userId });
    for (const other of [...others, "admin"]) {
      expect(await attempt(user, as(other)), other).toEqual(refused);
    }
    expect(await attempt(user, as(user))).toBe("done");
  });

  it("allow everything that the service needs", async () => {
    const asked = [...requests].filter(([, requestedBy]) => requestedBy.includes(user));
    for (const key of [
      ...typesOf(user).filter((type) => !requests.has(type)),
      ...asked.flatMap(([type]) => type),
    ]) {
      expect(await attempt(user, publish(EVENTS_EXCHANGE, key, { userId: user })), key).toBe(
        "done",
      );
    }
    for (const way of ["now", "dead", "wait.0.2s", "wait.900s"]) {
      expect(await attempt(user, publish(QUEUES_EXCHANGE, `${user}.${way}`)), way).toBe("done");
    }
    expect(await attempt(user, (channel) => channel.get(user))).toBe("done");
    expect(await attempt(user, (channel) => channel.get(deadLetterQueue(user)))).toBe("done");
    for (const { type } of catalogue.banEvents) {
      const listen = async (channel: Channel) => {
        const { queue } = await channel.assertQueue("", { exclusive: true, autoDelete: true });
        await channel.bindQueue(queue, EVENTS_EXCHANGE, type);
        await channel.consume(queue, () => undefined);
      };
      expect(await attempt(user, listen), type).toBe("done");
    }
  });
});
