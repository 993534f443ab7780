import { createHmac, timingSafeEqual } from "node:crypto";
import { stampOf } from "../security-stamp.ts";
import { emailKey, type FormerEmail, type UserFields } from "../user.ts";

/** What a link in a mail does when it is answered. */
export type Purpose = "reset" | "confirm" | "move" | "undo";

/** For so long a link can be answered; one that undoes a move for as long as the address is kept. */
const LIFE_MS: Record<Exclude<Purpose, "undo">, number> = {
  reset: 3_600_000,
  confirm: 86_400_000,
  move: 86_400_000,
};

/** What every link but one dies with, and the address of the account when it was written. */
const base = (user: UserFields): string => `${user.emailKey} ${stampOf(user)}`;

/** The former address that a link of this end puts back. */
const formerOf = (user: UserFields, expires: number): FormerEmail | undefined =>
  user.formerEmails?.find(({ undoUntil }) => undoUntil.getTime() === expires);

/**
 * What a token is bound to: the security stamp, so it dies with all that ends sessions; what the answer
 * changes, so it works once; and the address that the mail went to, so it proves no other. The one that
 * undoes a move outlives the stamp: a thief would raise it at once.
 */
const stateOf: Record<Purpose, (user: UserFields, expires: number) => string> = {
  reset: (user) => base(user),
  confirm: (user) => `${base(user)} ${user.emailConfirmed}`,
  move: (user) => `${base(user)} ${user.newEmail}`,
  undo: (user, expires) => emailKey(formerOf(user, expires)?.email ?? ""),
};

/**
 * The tokens of links. None is stored: it is derived, under a key of the server's, from what it is for,
 * whose it is, until when, and from what its answer will change.
 */
export function linkTokens(serverKey: string, now: () => number) {
  const key = createHmac("sha256", serverKey).update("links in mails").digest();

  const write = (purpose: Purpose, user: UserFields, expires: number): string => {
    const said = `${purpose}.${user._id}.${expires}`;
    const mac = createHmac("sha256", key).update(`${said} ${stateOf[purpose](user, expires)}`);
    return `${said}.${mac.digest("base64url")}`;
  };

  return {
    make: (purpose: Exclude<Purpose, "undo">, user: UserFields): string =>
      write(purpose, user, now() + LIFE_MS[purpose]),
    /** For the owner of a former address, to put it back. */
    makeUndo: (user: UserFields, { undoUntil }: FormerEmail): string =>
      write("undo", user, undoUntil.getTime()),
    /** The former address that a good token puts back; undefined for any other token. */
    formerOf: (token: string, user: UserFields): FormerEmail | undefined =>
      formerOf(user, Number(token.split(".")[2])),
    /** What a token says that it is for; nothing is proven by that. */
    purposeOf: (token: string): string => token.split(".")[0] ?? "",
    /** Whose a token says that it is; nothing is proven by that. */
    userIdOf: (token: string): string => token.split(".")[1] ?? "",
    /** Whether it is one of ours, for this, of this user as they are now, and in time. */
    isGood(purpose: Purpose, token: string, user: UserFields): boolean {
      const expires = Number(token.split(".")[2]);
      if (!(expires > now())) return false;
      if (purpose === "undo" && !formerOf(user, expires)) return false;
      const expected = Buffer.from(write(purpose, user, expires));
      const given = Buffer.from(token);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
export type LinkTokens = ReturnType<typeof linkTokens>;
