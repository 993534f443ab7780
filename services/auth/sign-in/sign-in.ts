import { TokenDelivery, type SignInRequest } from "@ticketing/proto/auth/v1/auth_service";
import { CallError } from "#runtime/errors.ts";
import { update } from "#runtime/store/aggregate.ts";
import type { Call } from "../call.ts";
import { emailKey } from "../email-address.ts";
import { AuthError } from "../errors.ts";
import type { OpenSession } from "../sessions/session-store.ts";
import { isCurrent } from "../sessions/session.ts";
import { upgradePasswordHash } from "../user-credentials.ts";
import type { UserFields, Users } from "../user.ts";
import { mustBeActive } from "./active-user.ts";
import { hashPassword, needsRehash, verifyPassword } from "./password-hash.ts";
import { deliverSession, sessionOriginOf, type SignInDeps } from "./session-delivery.ts";

/** Stores a stronger hash of a verified password where the current one is weak. */
async function rehashIfWeak(users: Users, user: UserFields, password: string): Promise<void> {
  const { _id: id, passwordHash } = user;
  if (!needsRehash(passwordHash)) return;
  const stronger = await hashPassword(password);
  const upgrade = (found: Parameters<typeof upgradePasswordHash>[0]) =>
    upgradePasswordHash(found, passwordHash, stronger);
  await update(users, id, upgrade, "+passwordHash");
}

/** Verifies a password and starts a session. Undefined where the account changed concurrently. */
async function startSession(
  { users, sessions, attempts }: SignInDeps,
  key: string,
  password: string,
  call: Call,
): Promise<{ user: UserFields; session: OpenSession } | undefined> {
  const found = await users.findOne({ emailKey: key }).select("+passwordHash");
  if (!(await verifyPassword(password, found?.passwordHash)) || !found) {
    throw new AuthError("WRONG_CREDENTIALS", "the email address or the password is wrong");
  }
  const active = await mustBeActive(users, found);
  await attempts.recordSuccess(call.clientAddress, key);
  await rehashIfWeak(users, found, password);
  const session = await sessions.start(active, sessionOriginOf(call));
  // A concurrent reset or ban ended all stored sessions, and this one may not have been among them.
  const user = await users.findById(found._id, { outbox: 0 }).lean<UserFields>();
  if (user?.status === "ACTIVE" && isCurrent(session, user)) return { user, session };
  await sessions.endById(session.id);
  return undefined;
}

export async function signIn(
  deps: SignInDeps,
  { email, password, tokenDelivery }: SignInRequest,
  call: Call,
) {
  const key = emailKey(email);
  await deps.attempts.count(call.clientAddress, key);
  // After a concurrent change the password is verified once more, against the changed account.
  const started =
    (await startSession(deps, key, password, call)) ??
    (await startSession(deps, key, password, call));
  if (!started) throw new CallError("CHANGED_MEANWHILE", "the account keeps changing; retry");
  const inBody = tokenDelivery === TokenDelivery.BODY;
  return deliverSession(deps, started.user, started.session, inBody, call);
}
