import type { RedisClientType } from "redis";
import type { ExpiringBan } from "./bans.ts";
import { withDeadline } from "../deadline.ts";

/** A Redis hash: one field for each user, and one field that marks the snapshot as complete. */
const KEY = "bans";
const WHOLE = "whole";
const PATIENCE_MS = 1_000;
const CHUNK = 1_000;

/**
 * Writes each ban, unless a newer one or a deletion, which is final, is stored: the instances of auth write
 * in any order. A value that is not a valid ban counts as older than any ban.
 */
const PUT = `
for i = 1, #ARGV, 2 do
  local old = redis.call("HGET", KEYS[1], ARGV[i])
  local new = ARGV[i + 1]
  local known = old and string.match(old, "^(%d+) %a+ %d+$")
  local isNewer = not known or tonumber(known) < tonumber(string.match(new, "^%d+"))
  local wasDeleted = known and string.find(old, " deleted ", 1, true)
  if not wasDeleted and (isNewer or string.find(new, " deleted ", 1, true)) then
    redis.call("HSET", KEYS[1], ARGV[i], new)
  end
end`;

function write({ version, banned, deleted, expiresAt }: ExpiringBan): string {
  const word = banned ? "banned" : "free";
  return [version, deleted ? "deleted" : word, expiresAt].join(" ");
}

/** The valid bans among the fields. An invalid value is ignored and does not outweigh a ban. */
const read = (fields: Record<string, string>): ExpiringBan[] =>
  Object.entries(fields).flatMap(([userId, value]) => {
    const [, version, word, expiresAt] = /^(\d+) (banned|free|deleted) (\d+)$/.exec(value) ?? [];
    if (!version) return [];
    const ban = {
      userId,
      version: Number(version),
      banned: word !== "free",
      expiresAt: Number(expiresAt),
    };
    return [word === "deleted" ? { ...ban, deleted: true } : ban];
  });

/** A request fails after this time, so an unresponsive Redis blocks no caller. */
const soon = <T>(answer: Promise<T>): Promise<T> =>
  withDeadline(PATIENCE_MS, answer, () => new Error("redis did not answer in time"));

/**
 * The bans of the last token lifetime in Redis, for instances that start. Auth's database is authoritative.
 * This copy may be lost; in that case it is not marked as complete.
 */
export function banSnapshot(redis: RedisClientType) {
  async function put(bans: readonly ExpiringBan[]): Promise<void> {
    for (let i = 0; i < bans.length; i += CHUNK) {
      const args = bans.slice(i, i + CHUNK).flatMap((ban) => [ban.userId, write(ban)]);
      await soon(redis.eval(PUT, { keys: [KEY], arguments: args }));
    }
  }
  return {
    put,
    /** All bans, or undefined if some may be missing. */
    async load(): Promise<ExpiringBan[] | undefined> {
      const { [WHOLE]: whole, ...fields } = await soon(redis.hGetAll(KEY));
      return whole === undefined ? undefined : read(fields);
    },
    async isWhole(): Promise<boolean> {
      return (await soon(redis.hExists(KEY, WHOLE))) === 1;
    },
    /** Marks the snapshot as incomplete: instances that start wait until it is complete. */
    async breakUp(): Promise<void> {
      await soon(redis.hDel(KEY, WHOLE));
    },
    /** Writes all bans and then marks the snapshot as complete. */
    async rewrite(bans: readonly ExpiringBan[]): Promise<void> {
      await put(bans);
      await soon(redis.hSet(KEY, WHOLE, new Date().toISOString()));
    },
    /** Removes the bans of users who cannot have a valid token any more. */
    async prune(now: number): Promise<void> {
      const { [WHOLE]: _whole, ...fields } = await soon(redis.hGetAll(KEY));
      const over = read(fields).filter(({ expiresAt }) => expiresAt <= now);
      for (let i = 0; i < over.length; i += CHUNK) {
        const users = over.slice(i, i + CHUNK).map(({ userId }) => userId);
        await soon(redis.hDel(KEY, users));
      }
    },
  };
}
export type BanSnapshot = ReturnType<typeof banSnapshot>;
