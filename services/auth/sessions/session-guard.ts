import { CallError } from "#runtime/errors.ts";
import type { Caller } from "#runtime/identity/tokens.ts";
import type { UserFields, Users } from "../user.ts";
import { sessionEnded } from "./session.ts";
import type { SessionStore } from "./session-store.ts";

export interface SessionDeps {
  users: Users;
  sessions: SessionStore;
}

/**
 * The account of the caller, if their session is still valid. In other services an access token outlives
 * its session by minutes; auth knows the sessions, and refuses such a token.
 */
export async function requireSession(
  { users, sessions }: SessionDeps,
  { id, sessionId }: Caller,
): Promise<UserFields> {
  const user = await users.findById(id, { outbox: 0 }).lean<UserFields>();
  if (user?.status === "ACTIVE" && (await sessions.isActive(sessionId, user))) return user;
  throw sessionEnded();
}

/** The account of a calling administrator, by the roles that are stored now. */
export async function requireAdministrator(deps: SessionDeps, caller: Caller): Promise<UserFields> {
  const user = await requireSession(deps, caller);
  if (user.roles.includes("ADMINISTRATOR")) return user;
  throw new CallError("NOT_ALLOWED", "you may not do this");
}
