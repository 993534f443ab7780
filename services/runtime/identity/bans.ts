import type { ConsumeMessage } from "amqplib";
import type { Broker } from "../messaging/broker/broker.ts";
import { fromProperties } from "../messaging/topology/envelope.ts";
import type { Log } from "../log.ts";
import { ownerOf } from "../messaging/topology/ownership.ts";

/** Whether a user is banned, as of a version of the user. The greatest version is the current one. */
export interface Ban {
  userId: string;
  version: number;
  banned: boolean;
  /**
   * The account is deleted: the user counts as banned, and no later event changes that, whatever its
   * version.
   */
  deleted?: boolean;
}

/** Whether a ban replaces the one that is already known. */
export const supersedes = (ban: Ban, known: Ban | undefined): boolean =>
  !known?.deleted && (ban.deleted === true || ban.version > (known?.version ?? -1));

/** An event that bans or unbans a user, and the function that reads it. */
export interface BanEvent {
  type: string;
  read(body: Uint8Array): Ban;
}

/** A ban and the time until which it must be kept. */
export interface ExpiringBan extends Ban {
  expiresAt: number;
}

/** The maximum lifetime of an access token, in seconds. */
export const MAX_TOKEN_SECONDS = 3_600;
/** A token that is signed while the ban is being written may be slightly younger than the ban. */
const SLACK_MS = 60_000;
/** No token that was issued before a ban lives longer. After the ban, auth issues none. */
export const BAN_RETENTION_MS = MAX_TOKEN_SECONDS * 1_000 + SLACK_MS;

const RELOAD_MS = 30_000;
const RETRY_MS = 200;

/** The bans that one instance knows, in memory. For each user the newest one counts. */
export function banCache(now: () => number = Date.now) {
  const kept = new Map<string, ExpiringBan>();
  return {
    hear(ban: ExpiringBan): void {
      if (ban.expiresAt > now() && supersedes(ban, kept.get(ban.userId))) kept.set(ban.userId, ban);
    },
    isBanned: (userId: string): boolean => kept.get(userId)?.banned ?? false,
    /** Removes the bans of users who cannot have a valid token any more. */
    forget(): void {
      for (const [userId, { expiresAt }] of kept) if (expiresAt <= now()) kept.delete(userId);
    },
    get size() {
      return kept.size;
    },
  };
}

interface Options {
  broker: Broker;
  log: Log;
  events: readonly BanEvent[];
  /** Loads all bans from another store. Returns undefined if they are incomplete or cannot be read. */
  load: () => Promise<readonly ExpiringBan[] | undefined>;
}

export interface Bans {
  isBanned(userId: string): boolean;
  /** Loads the bans again. */
  reload(): Promise<boolean>;
  close(): void;
}

/**
 * Keeps track of banned users. It binds its own queue first and then loads the earlier bans, so that none is
 * missed in between; the versions determine which one is newer. Resolves after the first load: before that,
 * no user could be identified as banned. If a later load fails, the known bans remain in use.
 */
export async function subscribeToBans({ broker, log, events, load }: Options): Promise<Bans> {
  const memory = banCache();
  const byType = new Map(events.map((event) => [event.type, event]));
  const { promise: bound, resolve } = Promise.withResolvers<void>();

  async function reload(): Promise<boolean> {
    memory.forget();
    try {
      const known = await load();
      for (const ban of known ?? []) memory.hear(ban);
      return known !== undefined;
    } catch (err) {
      log.warn({ err: (err as Error).message }, "bans not reloaded");
      return false;
    }
  }

  function receive(message: ConsumeMessage): void {
    const { type } = fromProperties(message.properties);
    const publisher: unknown = message.properties.userId;
    if (publisher === undefined || publisher !== ownerOf(type)) {
      return log.error({ type, publisher, alarm: true }, "a forged ban");
    }
    try {
      const ban = byType.get(type)?.read(message.content);
      if (ban) memory.hear({ ...ban, expiresAt: Date.now() + BAN_RETENTION_MS });
    } catch (err) {
      log.error({ err, type }, "a ban that cannot be read");
    }
  }

  await broker.subscribe([...byType.keys()], receive, () => {
    resolve();
    void reload();
  });
  await bound;
  while (!(await reload())) {
    log.info("waiting for the bans");
    await new Promise((again) => setTimeout(again, RETRY_MS));
  }
  const timer = setInterval(() => void reload(), RELOAD_MS).unref();
  return { isBanned: memory.isBanned, reload, close: () => clearInterval(timer) };
}
