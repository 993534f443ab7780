import type { User, UserFields } from "./user.ts";

// What an account goes through after it was made. Each change raises the version; only its end is news
// for others, who know neither its address nor its password.

/** The security stamp of a user, also of one who was stored before there were any. */
export const securityStampOf = ({ securityStamp = 0 }: Pick<UserFields, "securityStamp">): number =>
  securityStamp;

/** Whether nothing has ended all sessions and links between these two states of a user. */
export const isSameStamp = (one: UserFields, other: UserFields): boolean =>
  securityStampOf(one) === securityStampOf(other);

/**
 * Ends, by the save that follows, all sessions but the excepted one, all links in mails, and a move that
 * waits for its answer: whatever was begun under the old stamp counts no more.
 */
export function revokeAccess(user: User, exceptSession?: string): void {
  user.securityStamp = securityStampOf(user) + 1;
  user.keptSession = exceptSession;
  user.newEmail = undefined;
}
