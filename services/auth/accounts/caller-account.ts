import type { Caller } from "#runtime/rpc/authentication.ts";
import { CallError } from "#runtime/errors.ts";
import { AuthError } from "../errors.ts";
import type { SessionKeeper } from "../sessions/session.ts";
import type { UserFields, Users } from "../user.ts";

interface Deps {
  users: Users;
  sessions: SessionKeeper;
}

/**
 * The account of whoever calls, if their session goes on. Everywhere else an access token outlives its
 * session by minutes, for nobody there knows; auth knows, and does nothing for such a token.
 */
export function callerAccount({ users, sessions }: Deps) {
  return async (who: Caller): Promise<UserFields> => {
    const { id, sessionId } = who;
    const user = await users.findById(id, { outbox: 0 }).lean<UserFields>();
    if (user?.status === "ACTIVE" && (await sessions.isOpen(sessionId, user))) return user;
    throw new AuthError("SESSION_ENDED", "the session has ended; sign in again");
  };
}

/** The same of an administrator, by the roles that they have now. */
export function callingAdministrator(deps: Deps) {
  const account = callerAccount(deps);
  return async (who: Caller): Promise<UserFields> => {
    const user = await account(who);
    if (user.roles.includes("ADMINISTRATOR")) return user;
    throw new CallError("NOT_ALLOWED", "you may not do this");
  };
}
