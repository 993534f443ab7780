import { UserDeletedSchema } from "@ticketing/proto/auth/v1/user_events";
import { record, touch } from "#runtime/store/aggregate.ts";
import { revokeAccess } from "../security-stamp.ts";
import type { User } from "../user.ts";

/** The user wants all their sessions to end. Whoever is banned or gone has none. */
export function signOutEverywhere(user: User): boolean {
  if (user.status !== "ACTIVE") return false;
  revokeAccess(user);
  touch(user);
  return true;
}

/** A new password. Whoever knew the old one has nothing left but, where given, the one session. */
export function setPassword(user: User, passwordHash: string, exceptSession?: string): void {
  user.passwordHash = passwordHash;
  revokeAccess(user, exceptSession);
  touch(user);
}

/** The same password under a stronger hash. Answers whether it is still the same. */
export function rehash(user: User, from: string, to: string): boolean {
  if (user.passwordHash !== from) return false;
  user.passwordHash = to;
  touch(user);
  return true;
}

/**
 * The owner of the address has answered a mail. A move that somebody began before that is theirs no
 * longer: whoever made the account may be a stranger to the address.
 */
export function confirm(user: User): void {
  user.emailConfirmed = true;
  user.newEmail = undefined;
  touch(user);
}

/**
 * What is personal goes; the id stays, for the trades of others lead there. `unusable` is a hash that
 * no password has.
 */
export function bury(user: User, unusable: string, now: Date): void {
  revokeAccess(user);
  user.email = "";
  user.emailKey = `deleted:${user._id}`;
  user.formerEmails = [];
  user.emailConfirmed = false;
  user.passwordHash = unusable;
  user.roles = [];
  user.ban = undefined;
  user.status = "DELETED";
  user.standingTime = now;
  record(user, UserDeletedSchema, () => ({ userId: user._id, version: BigInt(user.version) }));
}
