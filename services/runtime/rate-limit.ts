import { createHash } from "node:crypto";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import type { RedisClientType } from "redis";
import { DomainError, type Reason } from "./errors.ts";
import { within } from "./within.ts";

/** How much is let through for one key: so many points within so many seconds. */
export interface Rate {
  points: number;
  seconds: number;
}

/** Counts by key, and refuses what is too much. */
export interface RateLimit {
  /** Counts one more for a key; too many are refused, with the time after which to come back. */
  count(key: string): Promise<void>;
  /** How many were counted for a key within its time. */
  counted(key: string): Promise<number>;
  /** Takes back one that should not have been counted. */
  giveBack(key: string): Promise<void>;
  /** Forgets a key: it begins anew. */
  forget(key: string): Promise<void>;
}

interface Refusal {
  reason: Reason;
  message: string;
}

/** Redis may take this long; one that is frozen keeps nobody waiting. */
const LONGEST_ANSWER_MS = 500;

const soon = <T>(answer: Promise<T>): Promise<T> =>
  within(LONGEST_ANSWER_MS, answer, () => new Error("redis did not answer in time"));

/** A key that does not tell what it was made of: who somebody is has no business in a store of counters. */
export const hashedKey = (...words: string[]): string =>
  createHash("sha256").update(words.join(" ")).digest("base64url");

const TOO_MANY: Refusal = {
  reason: "TOO_MANY_ATTEMPTS",
  message: "too many attempts; try again later",
};

/**
 * A limit whose counts all instances share through Redis. Where Redis is away, or does not answer
 * soon, each instance counts by itself, which is weaker but never open, and never closed.
 */
export function rateLimit(
  redis: RedisClientType,
  name: string,
  { points, seconds }: Rate,
  { reason, message }: Refusal = TOO_MANY,
): RateLimit {
  const rate = { keyPrefix: name, points, duration: seconds };
  const shared = new RateLimiterRedis({ ...rate, storeClient: redis, useRedisPackage: true });
  const own = new RateLimiterMemory(rate);
  /** The same of both: of Redis' where it answers, else of this instance's own. */
  async function first<T>(of: (limiter: RateLimiterRedis | RateLimiterMemory) => Promise<T>) {
    return soon(of(shared)).catch((error: unknown) => {
      if (error instanceof RateLimiterRes) throw error;
      return of(own);
    });
  }

  return {
    async count(key) {
      try {
        await first((limiter) => limiter.consume(key));
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        throw new DomainError(reason, message, { retryAfterMs: error.msBeforeNext });
      }
    },
    counted: async (key) => (await first((limiter) => limiter.get(key)))?.consumedPoints ?? 0,
    async giveBack(key) {
      await first((limiter) => limiter.reward(key));
    },
    async forget(key) {
      await Promise.allSettled([soon(shared.delete(key)), own.delete(key)]);
    },
  };
}
