import { CallError } from "#runtime/errors.ts";
import type { Caller } from "#runtime/identity/tokens.ts";
import { readById } from "#runtime/store/batched-reads.ts";
import type { UserFields, Users } from "../user.ts";
import { sessionEnded } from "./session.ts";
import type { SessionStore } from "./session-store.ts";

export interface SessionDeps {
  users: Users;
  sessions: SessionStore;
}

/**
 * The account of the caller, if it is active and their session is still valid. In other services an access
 * token outlives its session by minutes; auth knows the sessions, and does not accept such a token.
 */
export async function findSignedIn(
  { users, sessions }: SessionDeps,
  { id, sessionId }: Caller,
): Promise<UserFields | undefined> {
  const [user, session] = await Promise.all([readById(users, id), sessions.find(sessionId)]);
  const isSignedIn = user?.status === "ACTIVE" && session && sessions.isActive(session, user);
  return isSignedIn ? user : undefined;
}

/** The account of the caller. Fails if they are not signed in any more. */
export async function requireSession(deps: SessionDeps, caller: Caller): Promise<UserFields> {
  const user = await findSignedIn(deps, caller);
  if (user) return user;
  throw sessionEnded();
}

/** The account of a calling administrator, by the roles that are stored now. */
export async function requireAdministrator(deps: SessionDeps, caller: Caller): Promise<UserFields> {
  const user = await requireSession(deps, caller);
  if (user.roles.includes("ADMINISTRATOR")) return user;
  throw new CallError("NOT_ALLOWED", "you may not do this");
}
