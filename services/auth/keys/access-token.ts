import { SignJWT, type CryptoKey } from "jose";
import { ALGORITHM } from "#runtime/identity/tokens.ts";

/** The claims of an access token. */
export interface AccessTokenClaims {
  userId: string;
  sessionId: string;
  roles: readonly string[];
  emailConfirmed: boolean;
}

export interface AccessToken {
  token: string;
  expiresAt: Date;
}

export interface TokenIssuer {
  issuer: string;
  audience: string;
  lifetimeSeconds: number;
}

/** Signs an access token that is valid from now on. */
export async function signAccessToken(
  { userId, sessionId, roles, emailConfirmed }: AccessTokenClaims,
  { kid, privateKey }: { kid: string; privateKey: CryptoKey },
  { issuer, audience, lifetimeSeconds }: TokenIssuer,
): Promise<AccessToken> {
  const issuedAt = Math.floor(Date.now() / 1000);
  const expiresAt = issuedAt + lifetimeSeconds;
  const token = await new SignJWT({ sid: sessionId, roles, email_verified: emailConfirmed })
    .setProtectedHeader({ alg: ALGORITHM, kid, typ: "JWT" })
    .setSubject(userId)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(privateKey);
  return { token, expiresAt: new Date(expiresAt * 1000) };
}
