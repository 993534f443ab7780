import { rm } from "node:fs/promises";
import { join } from "node:path";
import { mongo } from "mongoose";
import type { System } from "#stack/launcher";
import { startMarketplace } from "../../e2e/testing/marketplace.ts";
import type { Measured } from "../measure/processes.ts";
import { settling } from "../measure/settle.ts";

/** The marketplace that is measured. */
export interface Marketplace {
  readonly system: System;
  readonly url: string;
  /** The contracts as a descriptor set, for gRPC. */
  readonly descriptors: string;
  readonly processes: readonly Measured[];
  /** Resolves when every event has reached its last consumer. */
  settled(): Promise<void>;
  /** Ends all holds of orders, so that a buyer has as few open orders as a person has. */
  endHolds(): Promise<void>;
  close(): Promise<void>;
}

const MANY = "1000000";

/**
 * Rules that refuse a person who asks too often would refuse the load generator. They are raised, not
 * taken out: each still does its work.
 */
export const RAISED_LIMITS = {
  MAX_OPEN_ORDERS: MANY,
  MAX_OPEN_ORDERS_NEW: MANY,
  MAX_HOLDS_PER_HOUR: MANY,
  MAX_HOLDS_PER_DAY: MANY,
  MAX_HOLDS_PER_NETWORK: MANY,
  MAILS_PER_ADDRESS: MANY,
};

/** A loaded machine is slow, which is no failure. The latency shows it. */
const PATIENT = { ...RAISED_LIMITS, CALL_TIMEOUT_SECONDS: "60" };

/** How the marketplace makes sure that nothing is lost. The report shows it beside the figures. */
export const durability = {
  "MongoDB writes": "majority with journal, replica set of one member",
  "RabbitMQ publishes": "quorum queues, persistent, each confirmed",
  events: "outbox in the saved document",
};

/** Starts the whole marketplace, one instance of each service, as `npm start` does. */
export async function startMeasured(
  log: (line: string) => void,
  env: Record<string, string> = PATIENT,
): Promise<Marketplace> {
  const { dir, system } = await startMarketplace("bench", { env, log });
  const processes = system.processes.map(({ child: { name, pid } }) => ({ name, pid }));
  const { settled, close } = await settling(system, processes);
  const database = await new mongo.MongoClient(system.parts.mongo?.adminUrl ?? "").connect();
  return {
    system,
    url: system.url,
    descriptors: join(dir, "edge/ticketing.binpb"),
    processes,
    settled,
    async endHolds() {
      const ended = { status: "CANCELLED", cancelReason: "BUYER" };
      const orders = database.db("orders").collection("orders");
      await orders.updateMany({ status: "CREATED" }, { $set: ended, $unset: { network: 1 } });
    },
    async close() {
      await database.close();
      await close();
      await system.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
