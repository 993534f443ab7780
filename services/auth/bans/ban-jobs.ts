import type { RedisClientType } from "redis";
import { banEvents } from "#marketplace/catalogue.ts";
import type { Relay } from "#runtime/messaging/relay.ts";
import type { Service } from "#runtime/service.ts";
import type { Users } from "../user.ts";
import { banSnapshotWriter } from "./ban-snapshot.ts";
import { liftExpiredBans } from "./ban.ts";
import { recentBans } from "./recent-bans.ts";

/** Publishes what users record, each ban after it is in the snapshot of bans. */
export function startUserRelay(service: Service, users: Users, redis: RedisClientType): Relay {
  const snapshot = banSnapshotWriter({ users, redis, events: banEvents, log: service.log });
  service.every(2, "repairing the ban snapshot", snapshot.repair);
  service.every(60, "pruning the ban snapshot", snapshot.prune);
  return service.relay(users, snapshot.writeBeforePublish);
}

/** Lifts expired bans. Resolves with a function that tells whether a user is banned. */
export async function startBans(service: Service, users: Users) {
  service.every(1, "lifting expired bans", () => liftExpiredBans(users, Date.now()));
  return service.bans(() => recentBans(users, Date.now()));
}
