import { Schema, type Connection } from "mongoose";
import type { Ban, BanEvent } from "#runtime/identity/bans.ts";
import type { EventHandler } from "#runtime/messaging/event-handler.ts";
import { batchedReadsOf, READ_LIMIT_MS } from "#runtime/store/batched-reads.ts";
import { upsertIfOlder } from "#runtime/store/upsert.ts";
import { banEvents } from "./catalogue.ts";

/** What a service stores about a user: whether the user is banned, as of the newest version. */
interface UserBanFields {
  _id: string;
  version: number;
  banned: boolean;
  /** Once it is true, nothing changes any more. */
  deleted?: boolean;
}

const schema = new Schema<UserBanFields>(
  {
    _id: { type: String, required: true },
    version: { type: Number, required: true },
    banned: { type: Boolean, required: true },
    deleted: Boolean,
  },
  { versionKey: false },
);

export const banReplicaModel = (db: Connection) => db.model("BannedUser", schema, "users");
export type BanReplica = ReturnType<typeof banReplicaModel>;

/**
 * Stores a ban unless the replica has the same or a newer version, so events may arrive late, twice or out
 * of order (R71). A deletion is final, whatever the version of another event.
 */
async function applyIfNewer(banReplica: BanReplica, ban: Ban): Promise<void> {
  const { userId, version, banned, deleted = false } = ban;
  const living = { _id: userId, deleted: { $ne: true } };
  const older = deleted ? living : { ...living, version: { $lt: version } };
  const change = { $set: { version, banned, ...(deleted && { deleted }) } };
  await upsertIfOlder((options) => banReplica.updateOne(older, change, options));
}

/** What follows from a ban or an unban. */
type ApplyBan = (userId: string, banned: boolean) => Promise<void>;

const findBanned = batchedReadsOf(
  (banReplica: BanReplica) => async (userIds: readonly string[]) => {
    const where = { _id: { $in: [...new Set(userIds)] }, banned: true };
    const found = await banReplica.find(where, { _id: 1 }).maxTimeMS(READ_LIMIT_MS).lean();
    return new Set(found.map(({ _id }) => _id));
  },
);

/**
 * Whether a user is banned according to this replica, read after this call. Simultaneous calls share a
 * read.
 */
export async function isBanned(banReplica: BanReplica, userId: string): Promise<boolean> {
  return (await findBanned(banReplica, userId)).has(userId);
}

/**
 * Stores a ban, and calls `apply` with the newest state of the user. If another event changed the state
 * meanwhile, `apply` is called again, because the two calls may have finished in the wrong order.
 */
async function applyBan(banReplica: BanReplica, ban: Ban, apply: ApplyBan): Promise<void> {
  await applyIfNewer(banReplica, ban);
  for (;;) {
    const banned = await isBanned(banReplica, ban.userId);
    await apply(ban.userId, banned);
    if ((await isBanned(banReplica, ban.userId)) === banned) return;
  }
}

/** The handlers of all events that ban or unban a user, or of the given ones. */
export const banHandlers = (
  banReplica: BanReplica,
  apply: ApplyBan,
  events: readonly BanEvent[] = banEvents,
): EventHandler[] =>
  events.map(({ type, read }) => ({
    type,
    decode: read,
    handle: (ban) => applyBan(banReplica, ban as Ban, apply),
  }));
