import { Schema, type Connection } from "mongoose";
import type { Ban } from "#runtime/identity/bans.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";

/** A copy of what a service needs to know of a user: whether they are out, by their newest version. */
interface UserBanFields {
  _id: string;
  version: number;
  banned: boolean;
  /** Once true, nothing changes any more. */
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
 * Keeps the newer of ours and theirs, so that events may come late, twice or out of order (R71). A
 * deletion is final: the version of no other event outweighs it.
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
    // Ours is there: as new or newer, or an older one that was put there in this very moment.
    await banReplica.updateOne(older, change);
  }
}

/** Whether a user is out, as far as this service has heard. */
export async function isBanned(banReplica: BanReplica, userId: string): Promise<boolean> {
  return (await banReplica.findById(userId).lean())?.banned ?? false;
}

/**
 * Keeps the word on a user, and lets `apply` do what follows from the newest one. Where another word
 * came meanwhile, ours may have been applied behind it: then again, with that.
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
