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

/** What access tokens must be in tests: signed with a key that was made for them. */
export const testTokenRules: TokenRules = {
  keys: createLocalJWKSet({ keys: [publicJwk] }),
  issuer: "ticketing",
  audience: "ticketing",
  secureCookies: false,
};

export const testPublicKey: CryptoKey = publicKey;

/** An access token like auth's; `claims` says in what it is not. One set to undefined is left out. */
export function token(claims: JWTPayload = {}, key: CryptoKey = privateKey): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: "ticketing", aud: "ticketing", sid: "session", roles: [], iat: now };
  return new SignJWT({ ...usual, exp: now + 300, ...claims })
    .setProtectedHeader({ alg: ALGORITHM, kid: KEY_ID })
    .sign(key);
}

const tokens = new Map<string, Promise<string>>();

/** Options of a call that make it this user's. */
export async function as(
  userId: string,
  ...roles: string[]
): Promise<{ headers: Record<string, string> }> {
  const who = [userId, ...roles].join();
  // Kept for all files of a run, which lasts longer than a token of auth's.
  const exp = Math.floor(Date.now() / 1000) + 86_400;
  const made = tokens.get(who) ?? token({ sub: userId, roles, exp });
  tokens.set(who, made);
  return { headers: { authorization: `Bearer ${await made}` } };
}
