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
  const limiter = (keyPrefix: string, points: number): RateLimiterRedis => {
    const limits = { keyPrefix, points, duration: windowSeconds };
    return new RateLimiterRedis({
      ...limits,
      storeClient: redis,
      useRedisPackage: true,
      insuranceLimiter: new RateLimiterMemory(limits),
    });
  };
  const addresses = limiter("attempts:address", perAddress);
  const accounts = limiter("attempts:account", perAccount);
  const refreshes = limiter("attempts:refresh", refreshesPerAddress);

  async function consume(limit: RateLimiterRedis, key: string): Promise<void> {
    try {
      await limit.consume(key);
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
      await accounts.delete(pair(address, account));
    },
  };
}
