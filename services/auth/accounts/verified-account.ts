import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { update } from "#runtime/store/aggregate.ts";
import type { SignedInCall } from "../call.ts";
import { AuthError } from "../errors.ts";
import type { MailQueue } from "../mail/mail-queue.ts";
import type { LinkTokens } from "../mail/link-tokens.ts";
import type { Mails } from "../mail/mail.ts";
import { isSameStamp } from "../user-credentials.ts";
import type { SessionCookies } from "../sessions/session-cookies.ts";
import type { SessionDeps } from "../sessions/session-guard.ts";
import type { AttemptLimits } from "../sign-in/attempt-limits.ts";
import { verifyPassword } from "../sign-in/password-hash.ts";
import type { User, UserFields, Users } from "../user.ts";
import type { ClaimDeps } from "./claims.ts";

export interface AccountDeps extends SessionDeps {
  cookies: SessionCookies;
  attempts: AttemptLimits;
  links: LinkTokens;
  mailQueue: MailQueue;
  mails: Mails;
  claims: ClaimDeps;
  now: () => number;
}

const wrongPassword = (): Error => new AuthError("WRONG_CREDENTIALS", "the password is wrong");

export const loadWithPassword = (users: Users, id: string) =>
  users.findById(id).select("+passwordHash").lean<UserFields>();

/** The caller's account, if the password is correct. Each call counts as an attempt to sign in. */
export async function verifyAccount(
  { users, attempts }: AccountDeps,
  password: string,
  { caller, clientAddress }: SignedInCall,
): Promise<UserFields> {
  const user = await loadWithPassword(users, caller.id);
  await attempts.count(clientAddress, user?.emailKey);
  if (!(await verifyPassword(password, user?.passwordHash)) || user?.status !== "ACTIVE") {
    throw wrongPassword();
  }
  await attempts.recordSuccess(clientAddress, user.emailKey);
  return user;
}

/** Changes a verified account, unless a concurrent change has invalidated the verification. */
export async function updateVerified(
  { users }: AccountDeps,
  verified: UserFields,
  change: (user: User) => void,
): Promise<void> {
  await update(users, verified._id, (user) => {
    if (user.status !== "ACTIVE" || !isSameStamp(user, verified)) throw wrongPassword();
    change(user);
  });
}

/**
 * Does what follows a stored change, also when the client has stopped waiting: no account is changed
 * without the email that says so.
 */
export async function afterChange(work: () => Promise<void>): Promise<Record<string, never>> {
  await runWithoutDeadline(work);
  return {};
}
