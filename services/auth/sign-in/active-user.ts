import { CallError } from "#runtime/errors.ts";
import { withoutExpiredBan } from "../bans/ban.ts";
import { AuthError } from "../errors.ts";
import type { UserFields, Users } from "../user.ts";

/** The user, if they are active. A ban that has expired is lifted. */
export async function mustBeActive(users: Users, found: UserFields): Promise<UserFields> {
  const user = await withoutExpiredBan(users, found, Date.now());
  if (user.status === "ACTIVE") return user;
  if (user.status === "BANNED") throw new CallError("BANNED", "this account is banned");
  throw new AuthError("SESSION_ENDED", "this account is gone");
}
