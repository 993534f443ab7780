import { createHmac, timingSafeEqual } from "node:crypto";
import type { UserFields } from "./user.ts";

/** What a link in a mail does when it is answered. */
export type Purpose = "reset" | "confirm" | "move";

/** For so long a link can be answered. */
const LIFE_MS: Record<Purpose, number> = {
  reset: 3_600_000,
  confirm: 86_400_000,
  move: 86_400_000,
};

/**
 * What a token is bound to: what the answer changes, so it works once, and the address that the mail
 * went to, so it proves no other.
 */
const stateOf: Record<Purpose, (user: UserFields) => string> = {
  reset: ({ emailKey, passwordHash }) => `${emailKey} ${passwordHash}`,
  confirm: ({ emailKey, emailConfirmed }) => `${emailKey} ${emailConfirmed}`,
  move: ({ emailKey, newEmail }) => `${emailKey} ${newEmail}`,
};

/**
 * The tokens of links. None is stored: it is derived, under a key of the server's, from what it is for,
 * whose it is, until when, and from what its answer will change.
 */
export function linkTokens(serverKey: string, now: () => number) {
  const key = createHmac("sha256", serverKey).update("links in mails").digest();

  const write = (purpose: Purpose, user: UserFields, expires: number): string => {
    const said = `${purpose}.${user._id}.${expires}`;
    const mac = createHmac("sha256", key).update(`${said} ${stateOf[purpose](user)}`);
    return `${said}.${mac.digest("base64url")}`;
  };

  return {
    /** `user` with all its fields, the password's hash among them. */
    make: (purpose: Purpose, user: UserFields): string =>
      write(purpose, user, now() + LIFE_MS[purpose]),
    /** What a token says that it is for; nothing is proven by that. */
    purposeOf: (token: string): string => token.split(".")[0] ?? "",
    /** Whose a token says that it is; nothing is proven by that. */
    userIdOf: (token: string): string => token.split(".")[1] ?? "",
    /** Whether it is one of ours, for this, of this user as they are now, and in time. */
    isGood(purpose: Purpose, token: string, user: UserFields): boolean {
      const expires = Number(token.split(".")[2]);
      if (!(expires > now())) return false;
      const expected = Buffer.from(write(purpose, user, expires));
      const given = Buffer.from(token);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
export type LinkTokens = ReturnType<typeof linkTokens>;
