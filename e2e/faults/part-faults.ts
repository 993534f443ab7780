import type { mongo } from "mongoose";
import { createClient } from "redis";
import { manage, servicesWithDatabase } from "#stack/parts";
import type { PartName, System } from "#stack/launcher";
import { openFaultProxy, type FaultProxy } from "./fault-proxy.ts";

// What can be the matter with a part that services need, each for as long as a test wants.

/** Leads all services to each part by one proxy. */
export function openPartProxies() {
  const proxies = new Map<PartName, Promise<FaultProxy>>();
  return {
    async via(part: PartName, address: string): Promise<string> {
      const url = new URL(address);
      const opened = proxies.get(part) ?? openFaultProxy(Number(url.port));
      proxies.set(part, opened);
      url.port = String((await opened).port);
      if (part === "database") {
        // The driver would find the server itself if it asked the set for its members.
        url.searchParams.delete("replicaSet");
        url.searchParams.set("directConnection", "true");
      }
      return url.href;
    },
    async to(part: PartName): Promise<FaultProxy> {
      const opened = proxies.get(part);
      if (!opened) throw new Error(`nobody was led to the ${part}`);
      return opened;
    },
    async close(): Promise<void> {
      for (const opened of proxies.values()) (await opened).close();
    },
  };
}

interface Target {
  system: System;
  /** The administrator's. */
  database: mongo.MongoClient;
  ways: ReturnType<typeof openPartProxies>;
}

export type PartFault = [what: string, begin: () => unknown, end: () => unknown];

const PARTS: readonly PartName[] = ["broker", "database", "redis", "smtp"];

/** What can be the matter, and how it begins and ends; `harmed` is asked for when it does. */
export function partFaults(harmed: () => Target): PartFault[] {
  const onWay = (part: PartName, change: (proxy: FaultProxy) => void) => async () =>
    change(await harmed().ways.to(part));
  const mend = (part: PartName) => onWay(part, (proxy) => proxy.restore());
  const network = (part: PartName): PartFault[] => [
    [`the ${part} is away`, onWay(part, (proxy) => proxy.refuse()), mend(part)],
    [`the ${part} swallows what is said`, onWay(part, (proxy) => proxy.blackhole()), mend(part)],
  ];
  const mailsAreAnswered = (what: string, words: string): PartFault => [
    `the smtp ${what}`,
    onWay("smtp", (proxy) => proxy.respondWith(`${words}\r\n`)),
    mend("smtp"),
  ];
  const delayAll = (ms: number) => async () => {
    for (const part of PARTS) (await harmed().ways.to(part)).delay(ms);
  };

  const brokerMemory = (limit: string) => () =>
    harmed().system.parts.rabbit?.control("set_vm_memory_high_watermark", "absolute", limit);
  let rightsBefore: unknown;
  const RIGHTS = "permissions/ticketing/orders";
  async function refuseAtBroker(): Promise<void> {
    const management = harmed().system.parts.rabbit!.management;
    rightsBefore = await manage(management, "GET", RIGHTS);
    await manage(management, "PUT", RIGHTS, { configure: "^$", write: "^$", read: "^$" });
    // Connections remember what they might do.
    await manage(management, "DELETE", "connections/username/orders");
  }
  const grantAtBroker = () =>
    manage(harmed().system.parts.rabbit!.management, "PUT", RIGHTS, rightsBefore);

  const admin = (command: mongo.Document) => () => harmed().database.db("admin").command(command);
  const databaseRoles = (roles: string[]) => async () => {
    for (const name of servicesWithDatabase)
      await harmed().database.db(name).command({ updateUser: name, roles });
  };
  const redis = (command: string) => async () => {
    const client = createClient({ url: harmed().system.parts.redis!.url });
    await client.connect();
    await client.sendCommand(command.split(" "));
    await client.close();
  };

  return [
    ["all of them are slow", delayAll(150), delayAll(0)],
    ...network("broker"),
    ["the broker is full", brokerMemory("1"), brokerMemory("512MB")],
    ["the broker refuses a service", refuseAtBroker, grantAtBroker],
    ...network("database"),
    ["the database takes no writes", admin({ fsync: 1, lock: true }), admin({ fsyncUnlock: 1 })],
    ["the database refuses us", databaseRoles([]), databaseRoles(["readWrite", "dbAdmin"])],
    ...network("redis"),
    ["the redis is full", redis("CONFIG SET maxmemory 1"), redis("CONFIG SET maxmemory 0")],
    [
      "the redis refuses us",
      redis("ACL SETUSER default -@all +acl +auth +hello"),
      redis("ACL SETUSER default +@all"),
    ],
    ...network("smtp"),
    mailsAreAnswered("is full", "421 4.3.1 too much mail"),
    mailsAreAnswered("refuses us", "554 5.7.1 not you"),
  ];
}
