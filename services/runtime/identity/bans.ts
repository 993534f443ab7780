import type { ConsumeMessage } from "amqplib";
import type { Broker } from "../messaging/broker/broker.ts";
import { fromProperties } from "../messaging/topology/envelope.ts";
import type { Log } from "../log.ts";
import { ownerOf } from "../messaging/topology/ownership.ts";

/** Whether a user is out, as of a version of theirs: the greater version is what is true now. */
export interface Ban {
  userId: string;
  version: number;
  banned: boolean;
  /** The account is deleted: they are out, and no other word counts any more, whatever its version. */
  deleted?: boolean;
}

/** Whether one word on a user counts more than another that is known already. */
export const supersedes = (ban: Ban, known: Ban | undefined): boolean =>
  !known?.deleted && (ban.deleted === true || ban.version > (known?.version ?? -1));

/** An event that tells of a ban, and how to read it. */
export interface BanEvent {
  type: string;
  read(body: Uint8Array): Ban;
}

/** A ban, and until when it must be remembered. */
export interface ExpiringBan extends Ban {
  expiresAt: number;
}

/** The longest that an access token may be made to live, in seconds. */
export const MAX_TOKEN_SECONDS = 3_600;
/** A token that was being signed while the ban was written is a little younger than the ban. */
const SLACK_MS = 60_000;
/** No token that was made before a ban lives longer; afterwards auth makes none. */
export const BAN_RETENTION_MS = MAX_TOKEN_SECONDS * 1_000 + SLACK_MS;

const RELOAD_MS = 30_000;
const RETRY_MS = 200;

/** What one instance knows of bans, in memory; the newest word on each user counts. */
export function banCache(now: () => number = Date.now) {
  const kept = new Map<string, ExpiringBan>();
  return {
    hear(ban: ExpiringBan): void {
      if (ban.expiresAt > now() && supersedes(ban, kept.get(ban.userId))) kept.set(ban.userId, ban);
    },
    isBanned: (userId: string): boolean => kept.get(userId)?.banned ?? false,
    /** Forgets those of whom no token can be left. */
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
  /** Everything that is known elsewhere; undefined where it is not whole, or cannot be read. */
  load: () => Promise<readonly ExpiringBan[] | undefined>;
}

export interface Bans {
  isBanned(userId: string): boolean;
  /** Reads again what is known elsewhere. */
  reload(): Promise<boolean>;
  close(): void;
}

/**
 * Knows who is banned. It binds its own queue first and then loads what was before, so that nothing
 * falls in between; the versions say which is the newer. Resolves once it has loaded: before that,
 * a banned user could not be told from any other. Where loading fails later, it keeps what it knows.
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
