import { createHash } from "node:crypto";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import type { RedisClientType } from "redis";
import { DomainError } from "#runtime/errors.ts";
import { within } from "#runtime/within.ts";
import type { KnownPlaces } from "./known-places.ts";
import { networkOf } from "./place.ts";

interface Options {
  redis: RedisClientType;
  known: KnownPlaces;
  perAccount: number;
  perAccountAndAddress: number;
  perAddress: number;
  refreshesPerAddress: number;
  refreshesPerSession: number;
  windowSeconds: number;
}

/** Slows down guessing. */
export interface Attempts {
  /** Counts an attempt to give an account's password, or refuses it. */
  count(address: string, account?: string): Promise<void>;
  /** Counts an attempt to make an account, or refuses it. */
  countSignUp(address: string, account: string): Promise<void>;
  /** Counts the renewal of a session, or refuses it. */
  countRefresh(address: string, sessionId?: string): Promise<void>;
  /** The right password was given: that was no guess, and the account knows this address now. */
  forgive(address: string, account: string): Promise<void>;
}

/** So long Redis may take: one that is frozen keeps nobody waiting. */
const PATIENCE_MS = 500;

const soon = <T>(answer: Promise<T>): Promise<T> =>
  within(PATIENCE_MS, answer, () => new Error("redis did not answer in time"));

/** A count that all instances share, and one of this instance's own for when there is no Redis. */
interface Limiter {
  shared: RateLimiterRedis;
  own: RateLimiterMemory;
}

/**
 * Counts attempts by address, and by account. A stranger's guesses must not lock the owner out: an
 * address that the account has signed in from of late has a count of its own, and of all others
 * together one alone cannot use up what they have. The counts are shared by all instances through
 * Redis; without it each instance counts by itself, which is weaker but never open.
 */
export function attemptLimits(options: Options): Attempts {
  const { redis, known, windowSeconds } = options;

  function limiter(name: string, points: number): Limiter {
    const limits = { keyPrefix: `attempts:${name}`, points, duration: windowSeconds };
    const store = { storeClient: redis, useRedisPackage: true };
    return {
      shared: new RateLimiterRedis({ ...limits, ...store }),
      own: new RateLimiterMemory(limits),
    };
  }
  const addresses = limiter("address", options.perAddress);
  const pairs = limiter("pair", options.perAccountAndAddress);
  const accounts = limiter("account", options.perAccount);
  const signUps = limiter("sign-up", options.perAccount);
  const refreshes = limiter("refresh", options.refreshesPerAddress);
  const sessions = limiter("session", options.refreshesPerSession);

  async function consume({ shared, own }: Limiter, key: string): Promise<void> {
    try {
      await soon(shared.consume(key)).catch((error: unknown) => {
        if (error instanceof RateLimiterRes) throw error;
        return own.consume(key);
      });
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      const retryAfterMs = error.msBeforeNext;
      throw new DomainError("TOO_MANY_ATTEMPTS", "too many attempts; try again later", {
        retryAfterMs,
      });
    }
  }

  // Hashed: an email address has no business in a store of counters.
  const hashed = (...words: string[]): string =>
    createHash("sha256").update(words.join(" ")).digest("base64url");
  const pair = (address: string, account: string): string => hashed(account, networkOf(address));

  return {
    async count(address, account) {
      await consume(addresses, networkOf(address));
      if (account === undefined) return;
      await consume(pairs, pair(address, account));
      if (!(await known.has(account, address))) await consume(accounts, hashed(account));
    },
    async countSignUp(address, account) {
      await consume(addresses, networkOf(address));
      await consume(signUps, hashed(account));
    },
    async countRefresh(address, sessionId) {
      await consume(refreshes, networkOf(address));
      if (sessionId) await consume(sessions, sessionId);
    },
    async forgive(address, account) {
      const key = pair(address, account);
      await Promise.allSettled([soon(pairs.shared.delete(key)), pairs.own.delete(key)]);
      await known.remember(account, address);
    },
  };
}
