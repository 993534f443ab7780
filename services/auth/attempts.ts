import type { RedisClientType } from "redis";
import { networkOf } from "#runtime/client-network.ts";
import { hashedKey, rateLimit, type RateLimit } from "#runtime/rate-limit.ts";
import type { KnownPlaces } from "./known-places.ts";

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

/**
 * Counts attempts by address, and by account. A stranger's guesses must not lock the owner out: an
 * address that the account has signed in from of late has a count of its own, and of all others
 * together one alone cannot use up what they have. The counts are shared by all instances through
 * Redis; without it each instance counts by itself, which is weaker but never open.
 */
export function attemptLimits(options: Options): Attempts {
  const { redis, known, windowSeconds } = options;

  const limit = (name: string, points: number): RateLimit =>
    rateLimit(redis, `attempts:${name}`, { points, seconds: windowSeconds });
  const addresses = limit("address", options.perAddress);
  const pairs = limit("pair", options.perAccountAndAddress);
  const accounts = limit("account", options.perAccount);
  const signUps = limit("sign-up", options.perAccount);
  const refreshes = limit("refresh", options.refreshesPerAddress);
  const sessions = limit("session", options.refreshesPerSession);
  const pair = (address: string, account: string): string => hashedKey(account, networkOf(address));

  return {
    async count(address, account) {
      await addresses.count(networkOf(address));
      if (account === undefined) return;
      await pairs.count(pair(address, account));
      if (!(await known.has(account, address))) await accounts.count(hashedKey(account));
    },
    async countSignUp(address, account) {
      await addresses.count(networkOf(address));
      await signUps.count(hashedKey(account));
    },
    async countRefresh(address, sessionId) {
      await refreshes.count(networkOf(address));
      if (sessionId) await sessions.count(sessionId);
    },
    async forgive(address, account) {
      await pairs.forget(pair(address, account));
      await known.remember(account, address);
    },
  };
}
