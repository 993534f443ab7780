import type { RedisClientType } from "redis";
import { banSnapshot } from "#runtime/identity/ban-snapshot.ts";
import { BAN_RETENTION_MS, type BanEvent } from "#runtime/identity/bans.ts";
import type { Log } from "#runtime/log.ts";
import { recentBans } from "./ban.ts";
import type { Users } from "../user.ts";

/** Bans this new may be on their way yet. */
const NEW_MS = 30_000;

interface Options {
  users: Users;
  redis: RedisClientType;
  events: readonly BanEvent[];
  log: Log;
}

/** Keeps the bans in Redis as the database has them, for instances of all services that start. */
export function snapshotKeeper({ users, redis, events, log }: Options) {
  const snapshot = banSnapshot(redis);
  const byType = new Map(events.map((event) => [event.type, event]));
  // At a start, and whenever Redis was away: what it missed, or has forgotten, is not known.
  let stale = true;
  redis.on("ready", () => void (stale = true));

  return {
    /** Before a ban is published. Without Redis the news goes out all the same, and is written later. */
    async before(type: string, payload: Uint8Array): Promise<void> {
      const event = byType.get(type);
      if (!event) return;
      try {
        await snapshot.put([{ ...event.read(payload), expiresAt: Date.now() + BAN_RETENTION_MS }]);
      } catch (err) {
        stale = true;
        log.warn({ err: (err as Error).message }, "a ban is not in redis yet");
      }
    },
    /** Writes everything anew where something may be missing; else what is new, broker or not. */
    async mend(): Promise<void> {
      if (!redis.isReady) return;
      if (!stale && (await snapshot.isWhole())) {
        return snapshot.put(await recentBans(users, Date.now(), NEW_MS));
      }
      stale = false;
      try {
        await snapshot.breakUp();
        await snapshot.rewrite(await recentBans(users, Date.now()));
      } catch (err) {
        stale = true;
        throw err;
      }
    },
    prune: () => (redis.isReady ? snapshot.prune(Date.now()) : Promise.resolve()),
  };
}
