import type { RedisClientType } from "redis";
import { banSnapshot } from "#runtime/identity/ban-snapshot.ts";
import { BAN_RETENTION_MS, type BanEvent } from "#runtime/identity/bans.ts";
import type { Log } from "#runtime/log.ts";
import type { Users } from "../user.ts";
import { recentBans } from "./recent-bans.ts";

/** Bans this recent may not have reached the broker yet. */
const UNPUBLISHED_MS = 30_000;

interface Options {
  users: Users;
  redis: RedisClientType;
  events: readonly BanEvent[];
  log: Log;
}

/** Writes the bans to Redis, where instances of all services load them at their start. */
export function banSnapshotWriter({ users, redis, events, log }: Options) {
  const snapshot = banSnapshot(redis);
  const byType = new Map(events.map((event) => [event.type, event]));
  // Redis may have missed bans, or lost them, before a start and during an outage.
  let isStale = true;
  redis.on("ready", () => void (isStale = true));

  async function rewrite(): Promise<void> {
    isStale = false;
    try {
      await snapshot.breakUp();
      await snapshot.rewrite(await recentBans(users, Date.now()));
    } catch (err) {
      isStale = true;
      throw err;
    }
  }

  return {
    /** Writes a ban before its event is published. Without Redis it is published all the same. */
    async writeBeforePublish(type: string, payload: Uint8Array): Promise<void> {
      const event = byType.get(type);
      if (!event) return;
      try {
        await snapshot.put([{ ...event.read(payload), expiresAt: Date.now() + BAN_RETENTION_MS }]);
      } catch (err) {
        isStale = true;
        log.warn({ err: (err as Error).message }, "ban not written to Redis yet");
      }
    },

    /** Rewrites a stale snapshot. Otherwise adds the latest bans, also while the broker is down. */
    async repair(): Promise<void> {
      if (!redis.isReady) return;
      if (isStale || !(await snapshot.isWhole())) return rewrite();
      await snapshot.put(await recentBans(users, Date.now(), UNPUBLISHED_MS));
    },

    prune: (): Promise<void> => (redis.isReady ? snapshot.prune(Date.now()) : Promise.resolve()),
  };
}
