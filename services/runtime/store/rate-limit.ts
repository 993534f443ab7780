import { createHash } from "node:crypto";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import type { RedisClientType } from "redis";
import { withDeadline } from "../deadline.ts";

/** The limit for one key: a number of points within a number of seconds. */
export interface Rate {
  points: number;
  seconds: number;
}

/** Counts by key and refuses what exceeds the limit. */
export interface RateLimit {
  /**
   * Consumes one point of a key. Above the limit it is refused, with the time until the next attempt.
   * Returns how many points are consumed.
   */
  count(key: string): Promise<number>;
  /** Refuses a key without remaining points. Returns how many points are consumed, and consumes none. */
  check(key: string): Promise<number>;
  /** Returns a point that was consumed by mistake. */
  uncount(key: string): Promise<void>;
  /** Removes all counts of a key. */
  reset(key: string): Promise<void>;
}

/** The maximum response time of Redis, so an unresponsive Redis blocks no caller. */
const LONGEST_ANSWER_MS = 500;

const soon = <T>(answer: Promise<T>): Promise<T> =>
  withDeadline(LONGEST_ANSWER_MS, answer, () => new Error("redis did not answer in time"));

/** A hash of the parts of a key: the store of the counters contains no personal data. */
export const hashedKey = (...words: string[]): string =>
  createHash("sha256").update(words.join(" ")).digest("base64url");

/**
 * A limit whose counters are shared by all instances through Redis. Each instance also counts locally. If
 * Redis is unavailable or slow, the local counters apply: the limit is weaker then, but it neither
 * disappears nor blocks every request. A key that exceeds the limit locally causes no request to Redis.
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
  /** The result from Redis or, without a response, the local one. */
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
