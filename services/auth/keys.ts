import { createLocalJWKSet, importJWK, SignJWT, type JWK, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import { ALGORITHM } from "#runtime/auth.ts";

const privateKey = z.looseObject({
  kid: z.string().min(1),
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});
const keySet = z.object({ keys: z.array(privateKey).min(1) });

/** What a new access token says. */
export interface Claims {
  userId: string;
  sessionId: string;
  roles: readonly string[];
}

export interface SigningKeys {
  /** What everyone may see, to check tokens with. */
  published: { keys: JWK[] };
  check: JWTVerifyGetKey;
  /** Signs an access token; answers it with the time at which it stops working. */
  sign(claims: Claims): Promise<{ token: string; expiresAt: Date }>;
}

interface Options {
  issuer: string;
  audience: string;
  lifeSeconds: number;
}

/** Reads the private keys: the first signs, all are published (the current one and the next). */
export async function signingKeys(json: string, options: Options): Promise<SigningKeys> {
  const { keys } = keySet.parse(JSON.parse(json));
  const [current] = keys;
  if (!current) throw new Error("no signing key");
  const secret = await importJWK(current as JWK, ALGORITHM);
  const published = {
    keys: keys.map(({ kid, kty, crv, x, y }) => ({
      kid,
      kty,
      crv,
      x,
      y,
      alg: ALGORITHM,
      use: "sig",
    })),
  };
  return {
    published,
    check: createLocalJWKSet(published),
    async sign({ userId, sessionId, roles }) {
      const now = Math.floor(Date.now() / 1000);
      const exp = now + options.lifeSeconds;
      const token = await new SignJWT({ sid: sessionId, roles })
        .setProtectedHeader({ alg: ALGORITHM, kid: current.kid, typ: "JWT" })
        .setSubject(userId)
        .setIssuer(options.issuer)
        .setAudience(options.audience)
        .setIssuedAt(now)
        .setExpirationTime(exp)
        .sign(secret);
      return { token, expiresAt: new Date(exp * 1000) };
    },
  };
}
