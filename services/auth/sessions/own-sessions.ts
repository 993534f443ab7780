import { update } from "#runtime/store/aggregate.ts";
import type { Call, SignedInCall } from "../call.ts";
import { revokeAllSessions } from "../user-credentials.ts";
import { toUserMessage } from "../user-message.ts";
import { findSignedIn, requireSession, type SessionDeps } from "./session-guard.ts";
import type { SessionCookies } from "./session-cookies.ts";
import { toSessionMessage } from "./session.ts";

interface Deps extends SessionDeps {
  cookies: SessionCookies;
}

/** Ends the session of the call, by its refresh token and by its access token. */
export async function signOut(
  { sessions, cookies }: Deps,
  { refreshToken }: { refreshToken: string },
  { caller, requestHeader, responseHeader }: Call,
) {
  const token = refreshToken || cookies.refreshToken(requestHeader);
  if (token) await sessions.endByToken(token);
  if (caller?.sessionId) await sessions.endById(caller.sessionId);
  cookies.clear(responseHeader);
  return {};
}

export async function signOutEverywhere(deps: Deps, { caller, responseHeader }: SignedInCall) {
  const { users, sessions, cookies } = deps;
  const { _id: id } = await requireSession(deps, caller);
  await update(users, id, revokeAllSessions);
  await sessions.endAll(id);
  cookies.clear(responseHeader);
  return {};
}

export async function listSessions(deps: SessionDeps, { caller }: SignedInCall) {
  const found = await deps.sessions.list(await requireSession(deps, caller));
  return { sessions: found.map((session) => toSessionMessage(session, caller.sessionId)) };
}

export async function endSession(
  deps: Deps,
  { id }: { id: string },
  { caller, responseHeader }: SignedInCall,
) {
  const { _id: userId } = await requireSession(deps, caller);
  await deps.sessions.endOwn(userId, id);
  if (id === caller.sessionId) deps.cookies.clear(responseHeader);
  return {};
}

/** The caller's user. Empty without a valid session. */
export async function getCurrentUser(deps: SessionDeps, { caller }: Call) {
  const user = caller && (await findSignedIn(deps, caller));
  return user ? { user: toUserMessage(user) } : {};
}
