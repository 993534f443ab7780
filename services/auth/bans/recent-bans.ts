import { KEEP_MS, type KeptBan } from "#runtime/identity/bans.ts";
import type { Users } from "../user.ts";

/** The users who were banned, unbanned or deleted within the lifetime of an access token. */
export async function recentBans(
  users: Users,
  now: number,
  withinMs = KEEP_MS,
): Promise<KeptBan[]> {
  const changed = { standingTime: { $gt: new Date(now - withinMs) } };
  const found = await users.find(changed, { version: 1, status: 1, standingTime: 1 }).lean();
  return found.map(({ _id, version, status, standingTime = new Date(now) }) => ({
    userId: _id,
    version,
    banned: status !== "ACTIVE",
    ...(status === "DELETED" && { deleted: true }),
    until: standingTime.getTime() + KEEP_MS,
  }));
}
