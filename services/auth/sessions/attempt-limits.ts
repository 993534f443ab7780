import type { RedisClientType } from "redis";
import { networkOf } from "#runtime/identity/client-network.ts";
import { DomainError } from "#runtime/errors.ts";
import { hashedKey, rateLimit, type RateLimit } from "#runtime/store/rate-limit.ts";
import { AuthError } from "../errors.ts";
import type { KnownPlaces } from "./known-networks.ts";

interface Options {
  redis: RedisClientType;
  known: KnownPlaces;
  perAccount: number;
  perAccountAndAddress: number;
  perAddress: number;
  refreshesPerAddress: number;
  refreshesPerSession: number;
  /** Mails to one address that nobody has confirmed, and those that one account asks for. */
  mailsPerAddress: number;
  /** One link for a forgotten password in this time. */
  resetSeconds: number;
  windowSeconds: number;
}

/** Slows down guessing. */
export interface Attempts {
  /** Counts an attempt to give an account's password, or refuses it. */
  count(address: string, account?: string): Promise<void>;
  /** Counts an attempt to make an account, or refuses it. */
  countSignUp(address: string, account: string): Promise<void>;
  /** Counts a request for a link that sets a new password, or refuses it. */
  countReset(address: string, account: string): Promise<void>;
  /** Counts a mail that somebody (an account, where there is one) has sent to an address, or refuses it. */
  countMail(to: string, account?: string): Promise<void>;
  /** As `countMail`, of a notice that nobody waits for: whether it may be sent. */
  mayNotify(to: string): Promise<boolean>;
  /** Whether it is time for another link that sets a new password: the one before is still good. */
  mayReset(account: string): Promise<boolean>;
  /** Counts the renewal of a session, or refuses it. */
  countRefresh(address: string, sessionId?: string): Promise<void>;
  /** The right password was given: that was no guess, and the account knows this address now. */
  forgive(address: string, account: string): Promise<void>;
}

const tooManyAttempts = (retryAfterMs: number): Error =>
  new AuthError("TOO_MANY_ATTEMPTS", "too many attempts; try again later", { retryAfterMs });

/**
 * Counts attempts by address, and by account. A stranger's guesses must not lock the owner out: an
 * address that the account has signed in from of late has a count of its own, and of all others
 * together one alone cannot use up what they have. The counts are shared by all instances through
 * Redis; without it each instance counts by itself, which is weaker but never open.
 */
export function attemptLimits(options: Options): Attempts {
  const { redis, known, windowSeconds } = options;

  const limit = (name: string, points: number, seconds = windowSeconds): RateLimit =>
    rateLimit(redis, `attempts:${name}`, { points, seconds }, tooManyAttempts);
  const addresses = limit("address", options.perAddress);
  const pairs = limit("pair", options.perAccountAndAddress);
  const accounts = limit("account", options.perAccount);
  const signUps = limit("sign-up", options.perAccountAndAddress);
  const resets = limit("reset", options.perAccountAndAddress);
  const mailsTo = limit("mails-to", options.mailsPerAddress);
  const mailsBy = limit("mails-by", options.mailsPerAddress);
  const resetMails = limit("reset-mail", 1, options.resetSeconds);
  const refreshes = limit("refresh", options.refreshesPerAddress);
  const sessions = limit("session", options.refreshesPerSession);
  const pair = (address: string, account: string): string => hashedKey(account, networkOf(address));

  const isAllowed = (counted: RateLimit, key: string): Promise<boolean> =>
    counted.count(key).then(
      () => true,
      (error: unknown) => {
        if (error instanceof DomainError) return false;
        throw error;
      },
    );

  return {
    async count(address, account) {
      await addresses.count(networkOf(address));
      if (account === undefined) return;
      await pairs.count(pair(address, account));
      if (!(await known.has(account, address))) await accounts.count(hashedKey(account));
    },
    // Who asks is counted together with the account: no stranger uses up what its owner has.
    async countSignUp(address, account) {
      await addresses.count(networkOf(address));
      await signUps.count(pair(address, account));
    },
    async countReset(address, account) {
      await addresses.count(networkOf(address));
      await resets.count(pair(address, account));
    },
    async countMail(to, account) {
      if (account !== undefined) await mailsBy.count(hashedKey(account));
      await mailsTo.count(hashedKey(to));
    },
    mayNotify: (to) => isAllowed(mailsTo, hashedKey(to)),
    mayReset: (account) => isAllowed(resetMails, hashedKey(account)),
    async countRefresh(address, sessionId) {
      await refreshes.count(networkOf(address));
      if (sessionId) await sessions.count(sessionId);
    },
    async forgive(address, account) {
      await pairs.reset(pair(address, account));
      await known.remember(account, address);
    },
  };
}
