import { AuthError } from "../errors.ts";
import { touch, update } from "#runtime/store/aggregate.ts";
import { revokeAccess } from "../security-stamp.ts";
import { emailKey, type FormerEmail, type User, type Users } from "../user.ts";
import { setPassword } from "./credentials.ts";

// An account moves to another address: begun with the password, done once the new address has answered,
// and undone by the old one for some days.

const DAY_MS = 86_400_000;

/** For so long an address that was confirmed can be put back. */
const UNDO_MS = 7 * DAY_MS;

/** One that never was may be a slip of the pen, and a stranger's: as long as a link to confirm it. */
const UNDO_UNCONFIRMED_MS = DAY_MS;

/** More moves than this in a few days are refused: each keeps an address from everybody else. */
const MOST_FORMER = 10;

/** The account is to move to another address, once that one has answered. */
export function beginMove(user: User, newEmail: string): void {
  if ((user.formerEmails?.length ?? 0) >= MOST_FORMER) {
    throw new AuthError("TOO_MANY_ATTEMPTS", "the address has changed too often", {
      retryAfterMs: DAY_MS,
    });
  }
  user.newEmail = newEmail;
  touch(user);
}

export const isOf = (key: string) => (former: FormerEmail) => emailKey(former.email) === key;

/** The account has this address from now on, and nothing of before counts any more. */
function settle(user: User, email: string): void {
  user.email = email;
  user.emailKey = emailKey(email);
  user.emailConfirmed = true;
}

/**
 * Drops a former address and all that came after it. An older address goes before a newer one: otherwise
 * a thief who was put out could undo that in turn.
 */
function returnTo(user: User, key: string): boolean {
  const former = user.formerEmails ?? [];
  const at = former.findIndex(isOf(key));
  if (at < 0) return false;
  user.formerEmails = former.slice(0, at);
  return true;
}

/** A mail to the new address was answered: the account is there from now on. */
export function move(user: User, now: Date): void {
  const { newEmail, email, emailConfirmed } = user;
  if (newEmail === undefined) return;
  if (!returnTo(user, emailKey(newEmail))) {
    const former = user.formerEmails ?? [];
    let end = now.getTime() + (emailConfirmed ? UNDO_MS : UNDO_UNCONFIRMED_MS);
    // A link says which address it puts back by this time, so no two have the same.
    while (former.some(({ undoUntil }) => undoUntil.getTime() === end)) end += 1;
    user.formerEmails = [...former, { email, undoUntil: new Date(end) }];
  }
  settle(user, newEmail);
  revokeAccess(user);
  touch(user);
}

/**
 * The owner of a former address puts it back, with a new password: whoever moved the account may know
 * the old one.
 */
export function undoMove(user: User, former: FormerEmail, passwordHash: string): void {
  returnTo(user, emailKey(former.email));
  settle(user, former.email);
  setPassword(user, passwordHash);
}

/** Forgets former addresses whose time is over; from then on others may have them. */
export async function forgetFormerEmails(users: Users, now: number): Promise<void> {
  const isOver = { "formerEmails.undoUntil": { $lte: new Date(now) } };
  const found = await users.find(isOver, { _id: 1 }).limit(500).lean();
  for (const { _id } of found) {
    await update(users, _id, (user) => {
      const former = user.formerEmails ?? [];
      user.formerEmails = former.filter(({ undoUntil }) => undoUntil.getTime() > now);
      touch(user);
    });
  }
}
