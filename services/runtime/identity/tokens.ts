import { type JWTPayload, jwtVerify, type JWTVerifyGetKey } from "jose";

/** The user who calls, from the access token. */
export interface Caller {
  id: string;
  sessionId: string;
  roles: readonly string[];
  /** Whether the user's email address was confirmed when the token was issued. */
  emailConfirmed: boolean;
}

/** What an access token must fulfil. */
export interface TokenRules {
  keys: JWTVerifyGetKey;
  /** Returns another object whenever a key was added or withdrawn. Without it no token is remembered. */
  keySet?: () => object;
  issuer: string;
  audience: string;
  /** With TLS only cookies with the `__Host-` prefix count, without TLS only those without it. */
  secureCookies: boolean;
  /** The tokens of banned users are rejected, although they are valid. */
  isBanned?: (userId: string) => boolean;
}

/** The only algorithm: both the signer and the verifiers pin it. */
export const ALGORITHM = "ES256";

/** Resolves with the claims of a valid token. */
export async function verifyToken(token: string, rules: TokenRules): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, rules.keys, {
    algorithms: [ALGORITHM],
    issuer: rules.issuer,
    audience: rules.audience,
    requiredClaims: ["sub", "exp"],
    clockTolerance: 5,
  });
  return payload;
}

/** The user whom the claims of a token name. */
export function callerOf({ sub, sid, roles, email_verified: verified }: JWTPayload): Caller {
  if (typeof sub !== "string" || sub === "") throw new Error("a token without a user");
  return {
    id: sub,
    sessionId: typeof sid === "string" ? sid : "",
    roles: Array.isArray(roles) ? roles.filter((role) => typeof role === "string") : [],
    emailConfirmed: verified === true,
  };
}
