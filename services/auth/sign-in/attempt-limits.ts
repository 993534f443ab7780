import type { RedisClientType } from "redis";
import { DomainError } from "#runtime/errors.ts";
import { networkOf } from "#runtime/identity/client-network.ts";
import { hashedKey, rateLimit, type RateLimit } from "#runtime/store/rate-limit.ts";
import type { AuthConfig } from "../config.ts";
import { AuthError } from "../errors.ts";
import type { TrustedNetworks } from "./trusted-networks.ts";

interface Options {
  redis: RedisClientType;
  trustedNetworks: TrustedNetworks;
  perAccount: number;
  perAccountAndAddress: number;
  perAddress: number;
  refreshesPerAddress: number;
  refreshesPerSession: number;
  /** For emails to one unconfirmed address, and for emails that one account requests. */
  mailsPerAddress: number;
  /** An account is sent one password reset link in this time. */
  resetSeconds: number;
  windowSeconds: number;
}

/** Rate limits against guessing and flooding. A method that counts throws TOO_MANY_ATTEMPTS at the limit. */
export interface AttemptLimits {
  /** Counts an attempt to give a secret: an account's password, or the token of a link. */
  count(clientAddress: string, account?: string): Promise<void>;
  countSignUp(clientAddress: string, account: string): Promise<void>;
  countReset(clientAddress: string, account: string): Promise<void>;
  /** Counts an email to an address, requested by an account if there is one. */
  countMail(to: string, account?: string): Promise<void>;
  /** Counts a notice to an address, and returns whether it may be sent. */
  mayNotify(to: string): Promise<boolean>;
  /** Whether an account may be sent another password reset link. */
  mayReset(account: string): Promise<boolean>;
  countRefresh(clientAddress: string, sessionId?: string): Promise<void>;
  /** Resets the count after a correct password, and trusts the client network. */
  recordSuccess(clientAddress: string, account: string): Promise<void>;
}

const tooManyAttempts = (retryAfterMs: number): Error =>
  new AuthError("TOO_MANY_ATTEMPTS", "too many attempts; try again later", { retryAfterMs });

/** One rate limiter for each thing that is counted. */
function createLimiters(options: Options) {
  const limiter = (name: string, points: number, seconds = options.windowSeconds): RateLimit =>
    rateLimit(options.redis, `attempts:${name}`, { points, seconds }, tooManyAttempts);
  return {
    addresses: limiter("address", options.perAddress),
    pairs: limiter("pair", options.perAccountAndAddress),
    accounts: limiter("account", options.perAccount),
    signUps: limiter("sign-up", options.perAccountAndAddress),
    resets: limiter("reset", options.perAccountAndAddress),
    mailsTo: limiter("mails-to", options.mailsPerAddress),
    mailsBy: limiter("mails-by", options.mailsPerAddress),
    resetMails: limiter("reset-mail", 1, options.resetSeconds),
    refreshes: limiter("refresh", options.refreshesPerAddress),
    sessions: limiter("session", options.refreshesPerSession),
  };
}

/** Counts, and returns whether the limit allows it. */
const isAllowed = (limiter: RateLimit, key: string): Promise<boolean> =>
  limiter.count(key).then(
    () => true,
    (error: unknown) => {
      if (error instanceof DomainError) return false;
      throw error;
    },
  );

const pairKey = (clientAddress: string, account: string): string =>
  hashedKey(account, networkOf(clientAddress));

/**
 * Counts attempts by client address and by account. A stranger's guesses must not lock the owner out: a
 * trusted network has its own count for the account, and one untrusted network cannot use up the count
 * that all of them share. Redis shares the counts among all instances. Without Redis each instance counts
 * alone, which is weaker but never unlimited.
 */
export function attemptLimits(options: Options): AttemptLimits {
  const limiters = createLimiters(options);
  const { trustedNetworks } = options;
  return {
    async count(clientAddress, account) {
      await limiters.addresses.count(networkOf(clientAddress));
      if (account === undefined) return;
      await limiters.pairs.count(pairKey(clientAddress, account));
      if (await trustedNetworks.isTrusted(account, clientAddress)) return;
      await limiters.accounts.count(hashedKey(account));
    },
    // By address and account together, so that no stranger uses up the owner's attempts.
    async countSignUp(clientAddress, account) {
      await limiters.addresses.count(networkOf(clientAddress));
      await limiters.signUps.count(pairKey(clientAddress, account));
    },
    async countReset(clientAddress, account) {
      await limiters.addresses.count(networkOf(clientAddress));
      await limiters.resets.count(pairKey(clientAddress, account));
    },
    async countMail(to, account) {
      if (account !== undefined) await limiters.mailsBy.count(hashedKey(account));
      await limiters.mailsTo.count(hashedKey(to));
    },
    mayNotify: (to) => isAllowed(limiters.mailsTo, hashedKey(to)),
    mayReset: (account) => isAllowed(limiters.resetMails, hashedKey(account)),
    async countRefresh(clientAddress, sessionId) {
      await limiters.refreshes.count(networkOf(clientAddress));
      if (sessionId) await limiters.sessions.count(sessionId);
    },
    async recordSuccess(clientAddress, account) {
      await limiters.pairs.reset(pairKey(clientAddress, account));
      await trustedNetworks.trust(account, clientAddress);
    },
  };
}

/** The limits of a service, as its configuration sets them. */
export const configuredLimits = (
  redis: RedisClientType,
  trustedNetworks: TrustedNetworks,
  config: AuthConfig,
): AttemptLimits =>
  attemptLimits({
    redis,
    trustedNetworks,
    perAccount: config.ATTEMPTS_PER_ACCOUNT,
    perAccountAndAddress: config.ATTEMPTS_PER_ACCOUNT_AND_ADDRESS,
    perAddress: config.ATTEMPTS_PER_ADDRESS,
    refreshesPerAddress: config.REFRESHES_PER_ADDRESS,
    refreshesPerSession: config.REFRESHES_PER_SESSION,
    mailsPerAddress: config.MAILS_PER_ADDRESS,
    resetSeconds: config.RESET_MAIL_SECONDS,
    windowSeconds: config.ATTEMPTS_WINDOW_SECONDS,
  });
