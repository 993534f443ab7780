import { touch, update } from "#runtime/store/aggregate.ts";
import { emailKey } from "../email-address.ts";
import { AuthError } from "../errors.ts";
import { revokeAccess } from "../user-credentials.ts";
import { setPassword } from "../user-credentials.ts";
import type { FormerEmail, User, Users } from "../user.ts";
import { DAY_MS } from "#runtime/values/time.ts";

// A user changes their email address in two steps: they request it with the password, and it is applied
// once the new address is confirmed. The former address can undo the change for some days.

/** How long a confirmed former address can be restored. */
const UNDO_MS = 7 * DAY_MS;

/** Shorter for one that was never confirmed: it may be mistyped, and belong to a stranger. */
const UNDO_UNCONFIRMED_MS = DAY_MS;

/** More changes are refused, because each one reserves an address. */
const MAX_FORMER_EMAILS = 10;

/** The number of users that one sweep updates. */
const SWEEP_SIZE = 500;

/** Requests a change to another address. */
export function requestEmailChange(user: User, newEmail: string): void {
  if ((user.formerEmails?.length ?? 0) >= MAX_FORMER_EMAILS) {
    throw new AuthError("TOO_MANY_ATTEMPTS", "the address has changed too often", {
      retryAfterMs: DAY_MS,
    });
  }
  user.newEmail = newEmail;
  touch(user);
}

/**
 * Confirms the address. A pending change to another address ends, because a stranger may have created the
 * account with this address and requested it.
 */
export function confirmEmailAddress(user: User): void {
  user.emailConfirmed = true;
  user.newEmail = undefined;
  touch(user);
}

function setEmail(user: User, email: string): void {
  user.email = email;
  user.emailKey = emailKey(email);
  user.emailConfirmed = true;
}

/**
 * Removes a former address and all later ones. The older address takes precedence: otherwise a thief could
 * undo the owner's undo.
 */
function removeFormerEmails(user: User, key: string): boolean {
  const former = user.formerEmails ?? [];
  const index = former.findIndex(({ email }) => emailKey(email) === key);
  if (index < 0) return false;
  user.formerEmails = former.slice(0, index);
  return true;
}

/** Applies the requested change after a link sent to the new address was used. */
export function applyEmailChange(user: User, now: Date): void {
  const { newEmail, email, emailConfirmed } = user;
  if (newEmail === undefined) return;
  if (!removeFormerEmails(user, emailKey(newEmail))) {
    const former = user.formerEmails ?? [];
    let undoUntil = now.getTime() + (emailConfirmed ? UNDO_MS : UNDO_UNCONFIRMED_MS);
    // An undo link identifies its address by this time, so it must be unique.
    while (former.some((other) => other.undoUntil.getTime() === undoUntil)) undoUntil += 1;
    user.formerEmails = [...former, { email, undoUntil: new Date(undoUntil) }];
  }
  setEmail(user, newEmail);
  revokeAccess(user);
  touch(user);
}

/** Restores a former address, and sets a new password: a thief may know the old one. */
export function restoreFormerEmail(user: User, former: FormerEmail, passwordHash: string): void {
  removeFormerEmails(user, emailKey(former.email));
  setEmail(user, former.email);
  setPassword(user, passwordHash);
}

/** Releases former addresses that can no longer be restored, so that other accounts can use them. */
export async function releaseFormerEmails(users: Users, now: number): Promise<void> {
  const expired = { "formerEmails.undoUntil": { $lte: new Date(now) } };
  const found = await users.find(expired, { _id: 1 }).limit(SWEEP_SIZE).lean();
  for (const { _id } of found) {
    await update(users, _id, (user) => {
      const former = user.formerEmails ?? [];
      user.formerEmails = former.filter(({ undoUntil }) => undoUntil.getTime() > now);
      touch(user);
    });
  }
}
