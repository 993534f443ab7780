import type { RedisClientType } from "redis";
import { PaymentError } from "../errors.ts";
import { networkOf } from "#runtime/identity/client-network.ts";
import { hashedKey, rateLimit, type RateLimit } from "#runtime/store/rate-limit.ts";

/** Who tries a card, and from where. */
export interface Payer {
  userId: string;
  /** The client's address, as the edge tells it. */
  address: string;
}

/** Limits card testing: whoever tries many cards is finding out which of them are any good. */
export interface CardLimits {
  /**
   * Counts a try of a card, or refuses it. Answers whether the payer has tried so many that they are
   * no longer told why one was refused.
   */
  countAttempt(payer: Payer): Promise<{ isTerse: boolean }>;
  /** A card was refused. */
  countRefusal(payer: Payer): Promise<void>;
  /** Nothing was found out about a card, or it was good. */
  uncountAttempt(payer: Payer): Promise<void>;
}

interface Options {
  redis: RedisClientType;
  perAccountAndHour: number;
  perAccountAndDay: number;
  perAddressAndHour: number;
  perAddressAndDay: number;
}

/** After so many tries of an account within an hour, it is not told more than that a card was refused. */
const ACCOUNT_IS_TOLD = 3;
/** The same of an address: many honest people may share one. */
const ADDRESS_IS_TOLD = 10;

const HOUR = 3_600;
const DAY = 86_400;
const tooManyCards = (retryAfterMs: number): Error =>
  new PaymentError("TOO_MANY_CARDS", "too many cards were tried; try again later", {
    retryAfterMs,
  });

/**
 * An account's tries are counted before the card is tried, so that a rush of them gets no further than
 * a row of them; an address' refused cards after, so that a crowd that buys at the same moment from
 * behind one address is not refused. What went well counts for nothing. All instances count together,
 * by Redis; without it each counts by itself, and buying goes on.
 */
export function cardLimits(options: Options): CardLimits {
  const { redis } = options;
  const limit = (name: string, points: number, seconds: number): RateLimit =>
    rateLimit(redis, `cards:${name}`, { points, seconds }, tooManyCards);
  const accounts = [
    limit("account-hour", options.perAccountAndHour, HOUR),
    limit("account-day", options.perAccountAndDay, DAY),
  ];
  const addresses = [
    limit("address-hour", options.perAddressAndHour, HOUR),
    limit("address-day", options.perAddressAndDay, DAY),
  ];
  const network = (address: string): string => hashedKey("address", networkOf(address));

  return {
    async countAttempt({ userId, address }) {
      const refused = await Promise.all(addresses.map((each) => each.check(network(address))));
      const tried = await Promise.all(accounts.map((each) => each.count(userId)));
      const [ofAddress = 0] = refused;
      const [ofAccount = 0] = tried;
      return { isTerse: ofAccount > ACCOUNT_IS_TOLD || ofAddress >= ADDRESS_IS_TOLD };
    },
    async countRefusal({ address }) {
      // One that is too much is refused when it next tries.
      await Promise.allSettled(addresses.map((each) => each.count(network(address))));
    },
    async uncountAttempt({ userId }) {
      await Promise.allSettled(accounts.map((each) => each.uncount(userId)));
    },
  };
}
