import { createHmac, timingSafeEqual } from "node:crypto";

export interface RefreshTokenClaims {
  sessionId: string;
  generation: number;
}

/**
 * Refresh tokens are derived, not stored: an HMAC under a server key over the session's id and generation.
 * So a stolen database reveals no token, and the same successor can be issued twice.
 */
export function refreshTokens(key: string) {
  function issue({ sessionId, generation }: RefreshTokenClaims): string {
    const claims = `${sessionId}.${generation}`;
    return `${claims}.${createHmac("sha256", key).update(claims).digest("base64url")}`;
  }

  /** The claims of a token, if it is exactly one that this server issued. */
  function verify(token: string): RefreshTokenClaims | undefined {
    const [sessionId = "", count = ""] = token.split(".");
    const claims = { sessionId, generation: Number(count) };
    const expected = Buffer.from(issue(claims));
    const given = Buffer.from(token);
    const isValid = given.length === expected.length && timingSafeEqual(given, expected);
    return isValid ? claims : undefined;
  }

  return { issue, verify };
}
export type RefreshTokens = ReturnType<typeof refreshTokens>;
