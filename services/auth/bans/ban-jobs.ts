import type { RedisClientType } from "redis";
import { banEvents } from "#marketplace/catalogue.ts";
import type { Service } from "#runtime/service.ts";
import type { Users } from "../user.ts";
import { banSnapshotWriter } from "./ban-snapshot.ts";
import { liftExpiredBans } from "./ban.ts";
import { recentBans } from "./recent-bans.ts";

/**
 * Publishes what users record, each ban after it is in the snapshot of bans, and lifts expired bans.
 * Resolves with a function that tells whether a user is banned.
 */
export async function startBans(service: Service, users: Users, redis: RedisClientType) {
  const snapshot = banSnapshotWriter({ users, redis, events: banEvents, log: service.log });
  service.relay(users, snapshot.writeBeforePublish);
  service.every(2, "repairing the ban snapshot", snapshot.repair);
  service.every(60, "pruning the ban snapshot", snapshot.prune);
  service.every(1, "lifting expired bans", () => liftExpiredBans(users, Date.now()));
  return service.bans(() => recentBans(users, Date.now()));
}
