import { BAN_RETENTION_MS, type ExpiringBan } from "#runtime/identity/bans.ts";
import type { Users } from "../user.ts";

/** The users who were banned, unbanned or deleted within the lifetime of an access token. */
export async function recentBans(
  users: Users,
  now: number,
  withinMs = BAN_RETENTION_MS,
): Promise<ExpiringBan[]> {
  const changed = { standingTime: { $gt: new Date(now - withinMs) } };
  const found = await users.find(changed, { version: 1, status: 1, standingTime: 1 }).lean();
  return found.map(({ _id, version, status, standingTime = new Date(now) }) => ({
    userId: _id,
    version,
    banned: status !== "ACTIVE",
    ...(status === "DELETED" && { deleted: true }),
    expiresAt: standingTime.getTime() + BAN_RETENTION_MS,
  }));
}
