import { createHash } from "node:crypto";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import type { RedisClientType } from "redis";
import { DomainError } from "#runtime/errors.ts";

interface Options {
  redis: RedisClientType;
  perAccount: number;
  perAddress: number;
  refreshesPerAddress: number;
  windowSeconds: number;
}

/** Slows down guessing. */
export interface Attempts {
  /** Counts an attempt, or refuses it. */
  count(address: string, account?: string): Promise<void>;
  /** Counts the renewal of a session, or refuses it. */
  countRefresh(address: string): Promise<void>;
  /** The right password was given: the account's count from this address starts anew. */
  forgive(address: string, account: string): Promise<void>;
}

/** So long Redis may take: one that is frozen keeps nobody waiting. */
const PATIENCE_MS = 500;

async function soon<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("redis did not answer in time")), PATIENCE_MS);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** A count that all instances share, and one of this instance's own for when there is no Redis. */
interface Limiter {
  shared: RateLimiterRedis;
  own: RateLimiterMemory;
}

/**
 * Counts attempts by address, and by account from one address: so a stranger's guesses do not lock
 * the owner out. The counts are shared by all instances through Redis; without it each instance
 * counts by itself, which is weaker but never open.
 */
export function attemptLimits({
  redis,
  perAccount,
  perAddress,
  refreshesPerAddress,
  windowSeconds,
}: Options): Attempts {
  function limiter(keyPrefix: string, points: number): Limiter {
    const limits = { keyPrefix, points, duration: windowSeconds };
    const store = { storeClient: redis, useRedisPackage: true };
    return {
      shared: new RateLimiterRedis({ ...limits, ...store }),
      own: new RateLimiterMemory(limits),
    };
  }
  const addresses = limiter("attempts:address", perAddress);
  const accounts = limiter("attempts:account", perAccount);
  const refreshes = limiter("attempts:refresh", refreshesPerAddress);

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
  const pair = (address: string, account: string): string =>
    createHash("sha256").update(`${account} ${address}`).digest("base64url");
  return {
    async count(address, account) {
      await consume(addresses, address);
      if (account !== undefined) await consume(accounts, pair(address, account));
    },
    countRefresh: (address) => consume(refreshes, address),
    async forgive(address, account) {
      const key = pair(address, account);
      await Promise.allSettled([soon(accounts.shared.delete(key)), accounts.own.delete(key)]);
    },
  };
}
