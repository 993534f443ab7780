import { createHmac, timingSafeEqual } from "node:crypto";
import { securityStampOf } from "../user-credentials.ts";
import { emailKey } from "../email-address.ts";
import type { FormerEmail, UserFields } from "../user.ts";
import { DAY_MS, HOUR_MS } from "#runtime/values/time.ts";

/** What using a link in an email does. */
export type LinkPurpose = "reset" | "confirm" | "move" | "undo";

/** How long a link can be used. One that undoes an email change is valid while the address is reserved. */
const LIFETIME_MS: Record<Exclude<LinkPurpose, "undo">, number> = {
  reset: HOUR_MS,
  confirm: DAY_MS,
  move: DAY_MS,
};

/** The account's address and security stamp when the link was created. */
const accountState = (user: UserFields): string => `${user.emailKey} ${securityStampOf(user)}`;

/** The former address that a link with this expiry restores. */
const formerEmailExpiringAt = (user: UserFields, expiresAt: number): FormerEmail | undefined =>
  user.formerEmails?.find(({ undoUntil }) => undoUntil.getTime() === expiresAt);

/**
 * The state that a token is bound to: the security stamp, so that revoking all sessions revokes it; the
 * field that it changes, so that it works once; and the receiver's address, so that it confirms no other.
 * An undo link ignores the stamp, because a thief would raise it immediately.
 */
const boundState: Record<LinkPurpose, (user: UserFields, expiresAt: number) => string> = {
  reset: (user) => accountState(user),
  confirm: (user) => `${accountState(user)} ${user.emailConfirmed}`,
  move: (user) => `${accountState(user)} ${user.newEmail}`,
  undo: (user, expiresAt) => emailKey(formerEmailExpiringAt(user, expiresAt)?.email ?? ""),
};

/** The expiry that a token claims, in milliseconds. */
const claimedExpiry = (token: string): number => Number(token.split(".")[2]);

/**
 * The tokens of links in emails. They are derived, not stored: an HMAC under a server key over purpose,
 * user, expiry and the state that the link changes.
 */
export function linkTokens(serverKey: string, now: () => number) {
  const key = createHmac("sha256", serverKey).update("links in mails").digest();

  const derive = (purpose: LinkPurpose, user: UserFields, expiresAt: number): string => {
    const claims = `${purpose}.${user._id}.${expiresAt}`;
    const state = boundState[purpose](user, expiresAt);
    const mac = createHmac("sha256", key).update(`${claims} ${state}`).digest("base64url");
    return `${claims}.${mac}`;
  };

  return {
    create: (purpose: Exclude<LinkPurpose, "undo">, user: UserFields): string =>
      derive(purpose, user, now() + LIFETIME_MS[purpose]),
    /** A token for the owner of a former address, to restore it. */
    createUndo: (user: UserFields, { undoUntil }: FormerEmail): string =>
      derive("undo", user, undoUntil.getTime()),
    /** The former address that a valid undo token restores. Undefined for any other token. */
    formerEmailOf: (token: string, user: UserFields): FormerEmail | undefined =>
      formerEmailExpiringAt(user, claimedExpiry(token)),
    /** The purpose that a token claims. This is not verified. */
    claimedPurpose: (token: string): string => token.split(".")[0] ?? "",
    /** The user that a token claims. This is not verified. */
    claimedUserId: (token: string): string => token.split(".")[1] ?? "",
    /** Whether a token was issued for this purpose and this state of the user, and has not expired. */
    isValid(purpose: LinkPurpose, token: string, user: UserFields): boolean {
      const expiresAt = claimedExpiry(token);
      if (!(expiresAt > now())) return false;
      if (purpose === "undo" && !formerEmailExpiringAt(user, expiresAt)) return false;
      const expected = Buffer.from(derive(purpose, user, expiresAt));
      const given = Buffer.from(token);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
export type LinkTokens = ReturnType<typeof linkTokens>;
