import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type Channel, type ChannelModel, type ConfirmChannel } from "amqplib";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { catalogue, snapshots, subscriptions } from "#catalogue";
import { deadQueue, EVENTS, QUEUES, topologyOf, waitQueue } from "#runtime/topology.ts";
import { startRabbit, type Rabbit } from "../rabbit.ts";

// Each service's own credentials on the real broker, as somebody who has stolen them would use them.

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

/** What the broker says to one thing that is tried on a channel of its own; "done" where it lets it. */
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
    // Publishing is refused after the fact, by the end of the channel.
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
const requests = new Map(snapshots.map(({ request, askedBy }) => [request.typeName, askedBy]));
const queues = topologyOf(catalogue).queues.map(({ name }) => name);

describe.each(services)("with the password of %s", (user) => {
  const others = services.filter((name) => name !== user);
  const isOwn = (queue: string): boolean => queue === user || queue === deadQueue(user);
  const foreign = queues.filter((queue) => !isOwn(queue));

  it("nobody publishes what belongs to another service", async () => {
    for (const type of others.flatMap(typesOf)) {
      if (requests.get(type)?.includes(user)) continue;
      expect(await attempt(user, publish(EVENTS, type)), type).toEqual(refused);
    }
    for (const { snapshot } of snapshots) {
      if (snapshot.typeName.startsWith(`ticketing.${user}.`)) continue;
      const key = `${snapshot.typeName}.${others[0]}`;
      expect(await attempt(user, publish(EVENTS, key)), key).toEqual(refused);
    }
  });

  it("nobody puts anything into another's queue, by whatever exchange", async () => {
    for (const other of others) {
      for (const key of ["now", "dead", "wait.1s", "wait.0.2s"].map((way) => `${other}.${way}`)) {
        expect(await attempt(user, publish(QUEUES, key)), key).toEqual(refused);
      }
      expect(await attempt(user, publish("", other)), other).toEqual(refused);
      expect(await attempt(user, publish("", deadQueue(other))), other).toEqual(refused);
    }
    for (const exchange of ["amq.topic", "amq.direct", "amq.fanout", "ticketing.waited"]) {
      expect(await attempt(user, publish(exchange, `${user}.now`)), exchange).toEqual(refused);
    }
    expect(await attempt(user, publish("", user))).toEqual(refused);
  });

  it("nobody takes, throws away or deletes what lies in another's queue", async () => {
    for (const queue of foreign) {
      expect(await attempt(user, (channel) => channel.get(queue)), queue).toEqual(refused);
      const consume = (channel: Channel) => channel.consume(queue, () => undefined);
      expect(await attempt(user, consume), queue).toEqual(refused);
      expect(await attempt(user, (channel) => channel.purgeQueue(queue)), queue).toEqual(refused);
    }
    for (const queue of queues) {
      const gone = (channel: Channel) => channel.deleteQueue(queue);
      expect(await attempt(user, gone), queue).toEqual(refused);
    }
  });

  it("nobody changes what the broker holds, or where it leads", async () => {
    for (const queue of queues) {
      const bound = (channel: Channel) => channel.bindQueue(queue, EVENTS, "#");
      expect(await attempt(user, bound), queue).toEqual(refused);
      const unbound = (channel: Channel) => channel.unbindQueue(queue, QUEUES, `${user}.now`);
      expect(await attempt(user, unbound), queue).toEqual(refused);
    }
    for (const { name } of topologyOf(catalogue).exchanges) {
      expect(await attempt(user, (c) => c.deleteExchange(name)), name).toEqual(refused);
      expect(await attempt(user, (c) => c.assertExchange(name, "topic")), name).toEqual(refused);
    }
    for (const name of [`${user}.more`, "more", waitQueue(1), "amq.gen-own", "amq.gen-"]) {
      expect(await attempt(user, (c) => c.assertQueue(name)), name).toEqual(refused);
      expect(await attempt(user, (c) => c.assertExchange(name, "topic")), name).toEqual(refused);
    }
    const led = (to: string, from: string, key: string) => (channel: Channel) =>
      channel.bindExchange(to, from, key);
    for (const key of ["#", `${others[0]}.now`, "ticketing.orders.v1.OrderCompleted"]) {
      expect(await attempt(user, led(QUEUES, EVENTS, key)), key).toEqual(refused);
      expect(await attempt(user, led(EVENTS, QUEUES, key)), key).toEqual(refused);
      expect(await attempt(user, led(QUEUES, "amq.topic", key)), key).toEqual(refused);
    }
  });

  it("nobody listens to more than bans, nor to another instance's", async () => {
    const listen = (key: string) => async (channel: Channel) => {
      const { queue } = await channel.assertQueue("", { exclusive: true });
      await channel.bindQueue(queue, EVENTS, key);
    };
    for (const key of ["#", "ticketing.#", "*.*.*.*", "ticketing.orders.v1.OrderCompleted"]) {
      expect(await attempt(user, listen(key)), key).toEqual(refused);
    }
    const connection = await connect(rabbit.url(others[0] ?? ""));
    onTestFinished(() => connection.close());
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue("", { exclusive: true });
    expect(await attempt(user, (c) => c.consume(queue, () => undefined))).toEqual(refused);
    expect(await attempt(user, (c) => c.bindQueue(queue, EVENTS, "#"))).toEqual(refused);
    expect(await attempt(user, (c) => c.purgeQueue(queue))).toEqual(refused);
  });

  it("nobody sends in the name of another", async () => {
    const key = `ticketing.${user}.v1.Anything`;
    const as = (userId: string) => publish(EVENTS, key, { userId });
    for (const other of [...others, "admin"]) {
      expect(await attempt(user, as(other)), other).toEqual(refused);
    }
    expect(await attempt(user, as(user))).toBe("done");
  });

  it("the service does what it needs", async () => {
    const asked = [...requests].filter(([, askedBy]) => askedBy.includes(user));
    for (const key of [
      ...typesOf(user).filter((type) => !requests.has(type)),
      ...asked.flatMap(([type]) => type),
    ]) {
      expect(await attempt(user, publish(EVENTS, key, { userId: user })), key).toBe("done");
    }
    for (const way of ["now", "dead", "wait.0.2s", "wait.900s"]) {
      expect(await attempt(user, publish(QUEUES, `${user}.${way}`)), way).toBe("done");
    }
    expect(await attempt(user, (channel) => channel.get(user))).toBe("done");
    expect(await attempt(user, (channel) => channel.get(deadQueue(user)))).toBe("done");
    for (const { type } of catalogue.banEvents) {
      const listen = async (channel: Channel) => {
        const { queue } = await channel.assertQueue("", { exclusive: true, autoDelete: true });
        await channel.bindQueue(queue, EVENTS, type);
        await channel.consume(queue, () => undefined);
      };
      expect(await attempt(user, listen), type).toBe("done");
    }
  });
});
