import { UserDeletedSchema } from "@ticketing/proto/auth/v1/user_events";
import { record, touch } from "#runtime/aggregate.ts";
import { emailKey, type User } from "./user.ts";

// What an account goes through after it was made. Each change raises the version; only its end is news
// for others, who know neither its address nor its password.

export function setPassword(user: User, passwordHash: string): void {
  user.passwordHash = passwordHash;
  touch(user);
}

/** The account is to move to another address, once that one has answered. */
export function beginMove(user: User, newEmail: string): void {
  user.newEmail = newEmail;
  touch(user);
}

/** A mail to the address of now was answered. */
export function confirm(user: User): void {
  user.emailConfirmed = true;
  touch(user);
}

/** A mail to the new address was answered: the account is there from now on. */
export function move(user: User): void {
  const { newEmail } = user;
  if (newEmail === undefined) return;
  user.email = newEmail;
  user.emailKey = emailKey(newEmail);
  user.newEmail = undefined;
  confirm(user);
}

/**
 * What is personal goes; the id stays, for the trades of others lead there. `unusable` is a hash that
 * no password has.
 */
export function bury(user: User, unusable: string, now: Date): void {
  user.email = "";
  user.emailKey = `deleted:${user._id}`;
  user.newEmail = undefined;
  user.emailConfirmed = false;
  user.passwordHash = unusable;
  user.roles = [];
  user.ban = undefined;
  user.status = "DELETED";
  user.standingTime = now;
  record(user, UserDeletedSchema, () => ({ userId: user._id, version: BigInt(user.version) }));
}
