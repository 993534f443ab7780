import type { RedisClientType } from "redis";
import { PaymentError } from "../errors.ts";
import { networkOf } from "#runtime/identity/client-network.ts";
import { hashedKey, rateLimit, type RateLimit } from "#runtime/store/rate-limit.ts";

/** The buyer who pays, and their address. */
export interface Payer {
  userId: string;
  /** The client's address, as forwarded by the edge. */
  address: string;
}

/** Limits card testing: trying many stolen card numbers to find those that work. */
export interface CardLimits {
  /**
   * Counts an attempt with a card, or refuses it. `isTerse` says that the payer has tried too many cards
   * to see why one was declined.
   */
  countAttempt(payer: Payer): Promise<{ isTerse: boolean }>;
  /** Counts a declined card. */
  countRefusal(payer: Payer): Promise<void>;
  /** Takes back an attempt whose card was accepted, or about which nothing was found out. */
  uncountAttempt(payer: Payer): Promise<void>;
}

interface Options {
  redis: RedisClientType;
  perAccountAndHour: number;
  perAccountAndDay: number;
  perAddressAndHour: number;
  perAddressAndDay: number;
}

/** After this many attempts of an account within an hour, the reason of a decline is hidden from it. */
const MAX_EXPLAINED_ATTEMPTS = 3;
/** The same for the declines of an address, which many honest buyers may share. */
const MAX_EXPLAINED_DECLINES = 10;

const HOUR_SECONDS = 3_600;
const DAY_SECONDS = 86_400;
const tooManyCards = (retryAfterMs: number): Error =>
  new PaymentError("TOO_MANY_CARDS", "too many cards were tried; try again later", {
    retryAfterMs,
  });

/**
 * An account's attempts are counted before the card is tried, so that concurrent attempts cannot pass
 * the limit. An address's declines are counted afterwards, so that a crowd that buys at the same moment
 * behind one address is not refused. Accepted cards do not count. All instances share the counts
 * through Redis; while Redis is down each instance counts by itself, and buyers can still pay.
 */
export function cardLimits(options: Options): CardLimits {
  const { redis } = options;
  const limit = (name: string, points: number, seconds: number): RateLimit =>
    rateLimit(redis, `cards:${name}`, { points, seconds }, tooManyCards);
  const accounts = [
    limit("account-hour", options.perAccountAndHour, HOUR_SECONDS),
    limit("account-day", options.perAccountAndDay, DAY_SECONDS),
  ];
  const addresses = [
    limit("address-hour", options.perAddressAndHour, HOUR_SECONDS),
    limit("address-day", options.perAddressAndDay, DAY_SECONDS),
  ];
  const network = (address: string): string => hashedKey("address", networkOf(address));

  return {
    async countAttempt({ userId, address }) {
      const refused = await Promise.all(addresses.map((each) => each.check(network(address))));
      const tried = await Promise.all(accounts.map((each) => each.count(userId)));
      const [declines = 0] = refused;
      const [attempts = 0] = tried;
      return { isTerse: attempts > MAX_EXPLAINED_ATTEMPTS || declines >= MAX_EXPLAINED_DECLINES };
    },
    async countRefusal({ address }) {
      // An address over its limit is refused at its next attempt.
      await Promise.allSettled(addresses.map((each) => each.count(network(address))));
    },
    async uncountAttempt({ userId }) {
      await Promise.allSettled(accounts.map((each) => each.uncount(userId)));
    },
  };
}
