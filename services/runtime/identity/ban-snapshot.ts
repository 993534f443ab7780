import type { RedisClientType } from "redis";
import type { ExpiringBan } from "./bans.ts";
import { withDeadline } from "../deadline.ts";

/** One hash: a field for each user, and one that says that the rest is whole. */
const KEY = "bans";
const WHOLE = "whole";
const PATIENCE_MS = 1_000;
const CHUNK = 1_000;

/**
 * Puts each ban there unless a newer one is, or a deletion, which is final: instances of auth may write
 * in any order. What is no ban is older than any.
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

/** The bans among the fields: what is none, whoever put it there, must not stand above one. */
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

/** A Redis that is frozen keeps nobody waiting. */
const soon = <T>(answer: Promise<T>): Promise<T> =>
  withDeadline(PATIENCE_MS, answer, () => new Error("redis did not answer in time"));

/**
 * The bans of a token's life in Redis, for instances that start. Auth's database holds the truth;
 * this is a copy that may be lost, and then says so: it is not whole.
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
    /** All bans, or undefined where some may be missing. */
    async load(): Promise<ExpiringBan[] | undefined> {
      const { [WHOLE]: whole, ...fields } = await soon(redis.hGetAll(KEY));
      return whole === undefined ? undefined : read(fields);
    },
    async isWhole(): Promise<boolean> {
      return (await soon(redis.hExists(KEY, WHOLE))) === 1;
    },
    /** Some are missing: whoever starts now has to wait. */
    async breakUp(): Promise<void> {
      await soon(redis.hDel(KEY, WHOLE));
    },
    /** Puts all of them there, and then the word that they are all. */
    async rewrite(bans: readonly ExpiringBan[]): Promise<void> {
      await put(bans);
      await soon(redis.hSet(KEY, WHOLE, new Date().toISOString()));
    },
    /** Takes out those of whom no token can be left. */
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
