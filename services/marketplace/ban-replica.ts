import { Schema, type Connection } from "mongoose";
import type { Ban } from "#runtime/identity/bans.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";

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
  try {
    await banReplica.updateOne(older, change, { upsert: true });
  } catch (error) {
    if (!duplicateKeyIndex(error)) throw error;
    // The document exists: it is as new or newer, or an older one was inserted at the same time.
    await banReplica.updateOne(older, change);
  }
}

/** Whether a user is banned according to this replica. */
export async function isBanned(banReplica: BanReplica, userId: string): Promise<boolean> {
  return (await banReplica.findById(userId).lean())?.banned ?? false;
}

/**
 * Stores a ban, and calls `apply` with the newest state of the user. If another event changed the state
 * meanwhile, `apply` is called again, because the two calls may have finished in the wrong order.
 */
export async function applyBan(
  banReplica: BanReplica,
  ban: Ban,
  apply: (userId: string, out: boolean) => Promise<void>,
): Promise<void> {
  await applyIfNewer(banReplica, ban);
  for (;;) {
    const out = await isBanned(banReplica, ban.userId);
    await apply(ban.userId, out);
    if ((await isBanned(banReplica, ban.userId)) === out) return;
  }
}
