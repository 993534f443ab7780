import type { mongo } from "mongoose";
import { createClient } from "redis";
import { manage, servicesWithDatabase } from "#stack/parts";
import type { PartName, System } from "#stack/launcher";
import type { FaultProxy } from "./fault-proxy.ts";
import type { PartProxies } from "./part-proxies.ts";

// The faults of each part that services depend on. A test decides how long a fault lasts.

export interface FaultTarget {
  system: System;
  /** A client with the administrator's rights. */
  database: mongo.MongoClient;
  proxies: PartProxies;
}

/** A function, because a test knows its target only after it has started. */
type GetTarget = () => FaultTarget;

export type PartFault = [name: string, begin: () => unknown, end: () => unknown];

const PARTS: readonly PartName[] = ["broker", "database", "redis", "smtp"];

const LATENCY_MS = 150;

/** The faults of the broker and the mail server, and latency of all parts. */
export const messagingFaults = (target: GetTarget): PartFault[] => [
  slowNetwork(target),
  ...networkFaults(target, "broker"),
  ...brokerFaults(target),
  ...networkFaults(target, "smtp"),
  smtpFault(target, "is full", "421 4.3.1 too much mail"),
  smtpFault(target, "refuses us", "554 5.7.1 not you"),
];

/** The faults of the database and of Redis. */
export const storeFaults = (target: GetTarget): PartFault[] => [
  ...networkFaults(target, "database"),
  ...databaseFaults(target),
  ...networkFaults(target, "redis"),
  ...redisFaults(target),
];

const changeProxy =
  (target: GetTarget, part: PartName, change: (proxy: FaultProxy) => void) => async () =>
    change(await target().proxies.to(part));

const restore = (target: GetTarget, part: PartName) =>
  changeProxy(target, part, (proxy) => proxy.restore());

function slowNetwork(target: GetTarget): PartFault {
  const delayAll = (ms: number) => async () => {
    for (const part of PARTS) (await target().proxies.to(part)).delay(ms);
  };
  return ["all parts respond slowly", delayAll(LATENCY_MS), delayAll(0)];
}

const networkFaults = (target: GetTarget, part: PartName): PartFault[] => [
  [
    `the ${part} is unreachable`,
    changeProxy(target, part, (proxy) => proxy.refuse()),
    restore(target, part),
  ],
  [
    `the ${part} silently drops all data`,
    changeProxy(target, part, (proxy) => proxy.blackhole()),
    restore(target, part),
  ],
];

const smtpFault = (target: GetTarget, name: string, response: string): PartFault => [
  `the smtp ${name}`,
  changeProxy(target, "smtp", (proxy) => proxy.respondWith(`${response}\r\n`)),
  restore(target, "smtp"),
];

const ORDERS_PERMISSIONS = "permissions/ticketing/orders";
const NO_PERMISSIONS = { configure: "^$", write: "^$", read: "^$" };

function brokerFaults(target: GetTarget): PartFault[] {
  const setMemoryLimit = (limit: string) => () =>
    target().system.parts.rabbit?.control("set_vm_memory_high_watermark", "absolute", limit);
  const management = () => target().system.parts.rabbit!.management;
  let granted: unknown;
  async function revoke(): Promise<void> {
    granted = await manage(management(), "GET", ORDERS_PERMISSIONS);
    await manage(management(), "PUT", ORDERS_PERMISSIONS, NO_PERMISSIONS);
    // An open connection caches its permissions.
    await manage(management(), "DELETE", "connections/username/orders");
  }
  const grant = () => manage(management(), "PUT", ORDERS_PERMISSIONS, granted);
  return [
    ["the broker is full", setMemoryLimit("1"), setMemoryLimit("512MB")],
    ["the broker refuses a service", revoke, grant],
  ];
}

function databaseFaults(target: GetTarget): PartFault[] {
  const admin = (command: mongo.Document) => () => target().database.db("admin").command(command);
  const setRoles = (roles: string[]) => async () => {
    for (const name of servicesWithDatabase)
      await target().database.db(name).command({ updateUser: name, roles });
  };
  return [
    ["the database accepts no writes", admin({ fsync: 1, lock: true }), admin({ fsyncUnlock: 1 })],
    ["the database refuses us", setRoles([]), setRoles(["readWrite", "dbAdmin"])],
  ];
}

function redisFaults(target: GetTarget): PartFault[] {
  const command = (text: string) => async () => {
    const client = createClient({ url: target().system.parts.redis!.url });
    await client.connect();
    await client.sendCommand(text.split(" "));
    await client.close();
  };
  return [
    ["Redis is full", command("CONFIG SET maxmemory 1"), command("CONFIG SET maxmemory 0")],
    [
      "Redis refuses us",
      command("ACL SETUSER default -@all +acl +auth +hello"),
      command("ACL SETUSER default +@all"),
    ],
  ];
}
