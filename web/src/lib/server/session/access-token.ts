/** A token this close to its expiry counts as expired: a call takes time, and clocks differ. */
const EXPIRY_MARGIN_MS = 5_000;

/** The claims of an access token. The signature is not verified here: the services do that. */
export function decodeAccessToken(
  token: string | undefined,
): { userId: string; expiresAtMs: number } | undefined {
  try {
    const claims = JSON.parse(Buffer.from(token?.split(".")[1] ?? "", "base64url").toString());
    if (typeof claims.sub !== "string" || typeof claims.exp !== "number") return undefined;
    return { userId: claims.sub, expiresAtMs: claims.exp * 1000 };
  } catch {
    return undefined;
  }
}

/** Whether the token exists and, by its own claims, has not expired. */
export function isUnexpired(token: string | undefined, now = Date.now()): boolean {
  const claims = decodeAccessToken(token);
  return claims !== undefined && claims.expiresAtMs - EXPIRY_MARGIN_MS > now;
}
