import {
  createLocalJWKSet,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
} from "jose";
import { ALGORITHM, type TokenRules } from "../identity/tokens.ts";

const KEY_ID = "test";

const { privateKey, publicKey } = await generateKeyPair(ALGORITHM);

const publicJwk = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: ALGORITHM };

/** The rules for access tokens in tests: they are signed with a key that is generated for the tests. */
export const testTokenRules: TokenRules = {
  keys: createLocalJWKSet({ keys: [publicJwk] }),
  issuer: "ticketing",
  audience: "ticketing",
  secureCookies: false,
};

export const testPublicKey: CryptoKey = publicKey;

/** An access token like auth's. `claims` overrides single claims; a claim set to undefined is omitted. */
export function token(claims: JWTPayload = {}, key: CryptoKey = privateKey): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: "ticketing", aud: "ticketing", sid: "session", roles: [], iat: now };
  return new SignJWT({ ...usual, exp: now + 300, ...claims })
    .setProtectedHeader({ alg: ALGORITHM, kid: KEY_ID })
    .sign(key);
}

const tokens = new Map<string, Promise<string>>();

/** Call options that authenticate the call as this user. */
export async function as(
  userId: string,
  ...roles: string[]
): Promise<{ headers: Record<string, string> }> {
  const who = [userId, ...roles].join();
  // Shared by all files of a run, which lasts longer than one of auth's tokens.
  const exp = Math.floor(Date.now() / 1000) + 86_400;
  const made = tokens.get(who) ?? token({ sub: userId, roles, exp });
  tokens.set(who, made);
  return { headers: { authorization: `Bearer ${await made}` } };
}
