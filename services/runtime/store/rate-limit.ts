import { createHash } from "node:crypto";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import type { RedisClientType } from "redis";
import { withDeadline } from "../deadline.ts";

/** How much is let through for one key: so many points within so many seconds. */
export interface Rate {
  points: number;
  seconds: number;
}

/** Counts by key, and refuses what is too much. */
export interface RateLimit {
  /**
   * Counts one more for a key; too many are refused, with the time after which to come back. Answers
   * how many there are now.
   */
  count(key: string): Promise<number>;
  /** Refuses a key that has used up its points; answers how many were counted, and counts none. */
  check(key: string): Promise<number>;
  /** Takes back one that should not have been counted. */
  uncount(key: string): Promise<void>;
  /** Forgets a key: it begins anew. */
  reset(key: string): Promise<void>;
}

/** Redis may take this long; one that is frozen keeps nobody waiting. */
const LONGEST_ANSWER_MS = 500;

const soon = <T>(answer: Promise<T>): Promise<T> =>
  withDeadline(LONGEST_ANSWER_MS, answer, () => new Error("redis did not answer in time"));

/** A key that does not tell what it was made of: who somebody is has no business in a store of counters. */
export const hashedKey = (...words: string[]): string =>
  createHash("sha256").update(words.join(" ")).digest("base64url");

/**
 * A limit whose counts all instances share through Redis. Each instance counts by itself too: that is
 * what counts where Redis is away, or does not answer soon, which is weaker but never open, and never
 * closed; and what is too much for one instance alone does not bother Redis.
 */
export function rateLimit(
  redis: RedisClientType,
  name: string,
  { points, seconds }: Rate,
  tooMany: (retryAfterMs: number) => Error,
): RateLimit {
  const rate = { keyPrefix: name, points, duration: seconds };
  const shared = new RateLimiterRedis({ ...rate, storeClient: redis, useRedisPackage: true });
  const own = new RateLimiterMemory(rate);
  /** What Redis says where it answers; else what this instance knows by itself. */
  async function sharedOr<T>(answer: Promise<T>, known: T): Promise<T> {
    return soon(answer).catch((error: unknown) => {
      if (error instanceof RateLimiterRes) throw error;
      return known;
    });
  }

  const refuse = ({ msBeforeNext }: RateLimiterRes): never => {
    throw tooMany(msBeforeNext);
  };

  return {
    async count(key) {
      try {
        const known = await own.consume(key);
        return (await sharedOr(shared.consume(key), known)).consumedPoints;
      } catch (error) {
        if (error instanceof RateLimiterRes) return refuse(error);
        throw error;
      }
    },
    async check(key) {
      const found = await sharedOr(shared.get(key), await own.get(key));
      const counted = found?.consumedPoints ?? 0;
      return found && counted >= points ? refuse(found) : counted;
    },
    async uncount(key) {
      await Promise.allSettled([soon(shared.reward(key)), own.reward(key)]);
    },
    async reset(key) {
      await Promise.allSettled([soon(shared.delete(key)), own.delete(key)]);
    },
  };
}
