import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { UserBannedSchema, UserUnbannedSchema } from "@ticketing/proto/auth/v1/user_events";
import { record, update } from "#runtime/store/aggregate.ts";
import { revokeAccess } from "../user-credentials.ts";
import { toUserState } from "../user-message.ts";
import type { User, UserFields, Users } from "../user.ts";

/** The number of expired bans that one sweep lifts. */
const SWEEP_SIZE = 500;

/**
 * Bans a user. Banning again replaces the reason and the end. Returns whether that changes anything: a
 * deleted user stays deleted.
 */
export function ban(user: User, reason: string, endsAt: Date | undefined, now: Date): boolean {
  if (user.status === "DELETED") return false;
  revokeAccess(user);
  user.status = "BANNED";
  user.ban = { reason, time: now, ...(endsAt && { endsAt }) };
  user.standingTime = now;
  record(user, UserBannedSchema, () => ({
    user: toUserState(user),
    ...(endsAt && { banEndsAt: timestampFromDate(endsAt) }),
  }));
  return true;
}

/** Lifts a ban. Returns whether there was one. */
export function unban(user: User, now: Date): boolean {
  if (user.status !== "BANNED") return false;
  user.status = "ACTIVE";
  user.ban = undefined;
  user.standingTime = now;
  record(user, UserUnbannedSchema, () => ({ user: toUserState(user) }));
  return true;
}

const isExpired = ({ ban }: UserFields, now: number): boolean =>
  ban?.endsAt !== undefined && ban.endsAt.getTime() <= now;

/** Lifts an expired ban. The check is repeated, because a new ban may have been set concurrently. */
const liftIfExpired = (users: Users, id: string, now: number) =>
  update(users, id, (user) => isExpired(user, now) && unban(user, new Date(now)));

/** The user with an expired ban lifted. */
export async function withoutExpiredBan<U extends UserFields>(
  users: Users,
  user: U,
  now: number,
): Promise<UserFields> {
  if (user.status !== "BANNED" || !isExpired(user, now)) return user;
  return (await liftIfExpired(users, user._id, now)) ?? user;
}

/** Lifts all expired bans. */
export async function liftExpiredBans(users: Users, now: number): Promise<void> {
  const expired = await users
    .find({ "ban.endsAt": { $lte: new Date(now) } }, { _id: 1 })
    .limit(SWEEP_SIZE)
    .lean();
  for (const { _id } of expired) await liftIfExpired(users, _id, now);
}
