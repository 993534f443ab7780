import { DomainError } from "#runtime/errors.ts";
import type { Call } from "../call.ts";
import type { OpenSession } from "../sessions/session-store.ts";
import { isCurrent, sessionEnded } from "../sessions/session.ts";
import type { UserFields } from "../user.ts";
import { mustBeActive } from "./active-user.ts";
import { deliverSession, type SignInDeps } from "./session-delivery.ts";

/** Whether an error means that the session has ended for good. */
const isFinal = (error: unknown): boolean =>
  error instanceof DomainError && (error.reason === "SESSION_ENDED" || error.reason === "BANNED");

/** The user of a renewed session, if the session is still theirs. */
async function ownerOf({ users, sessions }: SignInDeps, session: OpenSession): Promise<UserFields> {
  const user = await users.findById(session.userId, { outbox: 0 }).lean<UserFields>();
  if (!user) throw sessionEnded();
  const active = await mustBeActive(users, user);
  if (isCurrent(session, active)) return active;
  await sessions.endById(session.id);
  throw sessionEnded();
}

/** Delivers a renewed session, and remembers a response that cannot reach the client. */
async function deliverRenewal(deps: SignInDeps, session: OpenSession, inBody: boolean, call: Call) {
  try {
    const owner = await ownerOf(deps, session);
    const response = await deliverSession(deps, owner, session, inBody, call);
    if (call.signal.aborted) deps.sessions.markUndelivered(session);
    return response;
  } catch (error) {
    if (!isFinal(error)) deps.sessions.markUndelivered(session);
    throw error;
  }
}

export async function refreshSession(
  deps: SignInDeps,
  { refreshToken }: { refreshToken: string },
  call: Call,
) {
  const { sessions, cookies, attempts } = deps;
  const token = refreshToken || cookies.refreshToken(call.requestHeader);
  await attempts.countRefresh(call.clientAddress, token && sessions.sessionIdOf(token));
  if (!token) throw sessionEnded();
  try {
    return await deliverRenewal(deps, await sessions.renew(token), refreshToken !== "", call);
  } catch (error) {
    // Cookies are cleared only when the session has ended, never after a server failure.
    if (isFinal(error) && !refreshToken) cookies.clear(call.responseHeader);
    throw error;
  }
}
