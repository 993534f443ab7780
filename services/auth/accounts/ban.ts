import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { UserBannedSchema, UserUnbannedSchema } from "@ticketing/proto/auth/v1/user_events";
import type { UserRecordSchema } from "@ticketing/proto/auth/v1/user_service";
import { record, update } from "#runtime/store/aggregate.ts";
import { BAN_RETENTION_MS, type ExpiringBan } from "#runtime/identity/bans.ts";
import { revokeAccess } from "../security-stamp.ts";
import { toProto, toState, type User, type UserFields, type Users } from "../user.ts";

/**
 * Puts a user out; one who is out already gets the reason and the end anew. Answers whether that changes
 * anything: whoever is deleted stays so.
 */
export function ban(user: User, reason: string, endsAt: Date | undefined, now: Date): boolean {
  if (user.status === "DELETED") return false;
  revokeAccess(user);
  user.status = "BANNED";
  user.ban = { reason, time: now, ...(endsAt && { endsAt }) };
  user.standingTime = now;
  record(user, UserBannedSchema, () => ({
    user: toState(user),
    ...(endsAt && { banEndsAt: timestampFromDate(endsAt) }),
  }));
  return true;
}

/** Lets a user in again. Answers whether that changes anything. */
export function unban(user: User, now: Date): boolean {
  if (user.status !== "BANNED") return false;
  user.status = "ACTIVE";
  user.ban = undefined;
  user.standingTime = now;
  record(user, UserUnbannedSchema, () => ({ user: toState(user) }));
  return true;
}

const isOver = ({ ban }: UserFields, now: number): boolean =>
  ban?.endsAt !== undefined && ban.endsAt.getTime() <= now;

/** Ends a ban whose time is up, and no other: a new one may have come in this moment. */
const endIfOver = (users: Users, id: string, now: number) =>
  update(users, id, (user) => isOver(user, now) && unban(user, new Date(now)));

/** The user as they stand at this moment, a ban that is over taken off. */
export async function standingNow<U extends UserFields>(
  users: Users,
  user: U,
  now: number,
): Promise<UserFields> {
  if (user.status !== "BANNED" || !isOver(user, now)) return user;
  return (await endIfOver(users, user._id, now)) ?? user;
}

/** Ends the bans whose time is up. */
export async function endBans(users: Users, now: number): Promise<void> {
  const over = await users
    .find({ "ban.endsAt": { $lte: new Date(now) } }, { _id: 1 })
    .limit(500)
    .lean();
  for (const { _id } of over) await endIfOver(users, _id, now);
}

/** Who came to be out, or in again, within a token's life: what instances have to know. */
export async function recentBans(
  users: Users,
  now: number,
  withinMs = BAN_RETENTION_MS,
): Promise<ExpiringBan[]> {
  const found = await users
    .find(
      { standingTime: { $gt: new Date(now - withinMs) } },
      { version: 1, status: 1, standingTime: 1 },
    )
    .lean();
  return found.map(({ _id, version, status, standingTime = new Date(now) }) => ({
    userId: _id,
    version,
    banned: status !== "ACTIVE",
    ...(status === "DELETED" && { deleted: true }),
    expiresAt: standingTime.getTime() + BAN_RETENTION_MS,
  }));
}

/** The user as administrators see them. */
export function toRecord(user: UserFields): MessageInitShape<typeof UserRecordSchema> {
  const { ban } = user;
  if (!ban) return { user: toProto(user) };
  return {
    user: toProto(user),
    banReason: ban.reason,
    banTime: timestampFromDate(ban.time),
    ...(ban.endsAt && { banEndsAt: timestampFromDate(ban.endsAt) }),
  };
}
