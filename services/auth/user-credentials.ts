import { touch } from "#runtime/store/aggregate.ts";
import type { User, UserFields } from "./user.ts";

// Changes of a user's credentials. They raise the version without an event, because other services know
// neither the address nor the password of an account.

/** The security stamp of a user. Users that were stored before stamps existed have 0. */
export const securityStampOf = ({ securityStamp = 0 }: Pick<UserFields, "securityStamp">): number =>
  securityStamp;

/** Whether nothing has ended all sessions and links between these two states of a user. */
export const isSameStamp = (one: UserFields, other: UserFields): boolean =>
  securityStampOf(one) === securityStampOf(other);

/**
 * Ends all sessions except one, all links in emails and a pending email change, with the save that
 * follows: everything that carries an older stamp is invalid.
 */
export function revokeAccess(user: User, exceptSession?: string): void {
  user.securityStamp = securityStampOf(user) + 1;
  user.keptSession = exceptSession;
  user.newEmail = undefined;
}

/** Ends all sessions of an active user. Banned and deleted users have none. */
export function revokeAllSessions(user: User): boolean {
  if (user.status !== "ACTIVE") return false;
  revokeAccess(user);
  touch(user);
  return true;
}

/** Sets a new password. Every session ends, except the given one. */
export function setPassword(user: User, passwordHash: string, exceptSession?: string): void {
  user.passwordHash = passwordHash;
  revokeAccess(user, exceptSession);
  touch(user);
}

/** Replaces a hash by a stronger one of the same password. Returns false if the password has changed. */
export function upgradePasswordHash(user: User, from: string, to: string): boolean {
  if (user.passwordHash !== from) return false;
  user.passwordHash = to;
  touch(user);
  return true;
}
