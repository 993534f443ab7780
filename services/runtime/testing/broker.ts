import { type Channel, connect } from "amqplib";
import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import type { Log } from "../log.ts";
import { type Broker, connectBroker } from "../messaging/broker/broker.ts";
import {
  declareTopology,
  type Routing,
  type SnapshotRoute,
  type Subscriptions,
} from "../messaging/topology/topology.ts";
import { atEnd } from "./at-end.ts";
import { silentLog } from "./log.ts";

/** The address of an empty virtual host of the real broker. */
export async function testVhost(): Promise<string> {
  const { amqpUrl, management } = inject("parts");
  const name = `test_${randomUUID()}`;
  const authorization = `Basic ${btoa(`${management.user}:${management.password}`)}`;
  async function call(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`${management.url}/api/${path}`, {
      method,
      // A kept-alive connection could be closed just when it is used again.
      headers: { authorization, "content-type": "application/json", connection: "close" },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`RabbitMQ: ${method} ${path}: ${answer.status}`);
  }
  await call("PUT", `vhosts/${name}`);
  await call("PUT", `permissions/${name}/admin`, { configure: ".*", write: ".*", read: ".*" });
  atEnd(() => call("DELETE", `vhosts/${name}`));
  return amqpUrl.replace(/[^/]*$/, name);
}

export interface TestBroker extends Broker {
  readonly url: string;
  /** A plain channel, to inspect queues and to publish messages that no service would publish. */
  readonly raw: Channel;
}

/** Declares on a broker what services expect to exist. */
export async function declareAt(url: string, routing: Routing): Promise<void> {
  const connection = await connect(url);
  await declareTopology(await connection.createChannel(), routing);
  await connection.close();
}

/** A service's connection to the real broker, in a new virtual host or in a given one. */
export async function testBroker(
  service: string,
  subscriptions: Subscriptions,
  options: { url?: string; log?: Log; snapshots?: readonly SnapshotRoute[] } = {},
): Promise<TestBroker> {
  const url = options.url ?? (await testVhost());
  const { log = silentLog, snapshots = [] } = options;
  const routing = { subscriptions, snapshots };
  await declareAt(url, routing);
  const broker = await connectBroker({ url, name: service, ...routing, log });
  const bare = await connect(url);
  bare.on("error", () => undefined);
  const raw = await bare.createChannel();
  atEnd(async () => {
    await bare.close().catch(() => undefined); // Its connection may have been closed.
    await broker.close();
  });
  return Object.defineProperties(broker as TestBroker, {
    url: { value: url },
    raw: { value: raw },
  });
}
