import { exportJWK, generateKeyPair, type JWK } from "jose";
import { z } from "zod";
import { ALGORITHM } from "#runtime/identity/tokens.ts";
import type { KeyFields } from "./key.ts";

const privateKey = z.looseObject({
  kid: z.string().min(1),
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});
const keySet = z.object({ keys: z.array(privateKey).min(1) });

/** A private key as a JWK. */
export type PrivateKey = z.infer<typeof privateKey>;

/** Parses a JWK set of private keys. The first one is to sign. */
export const parsePrivateKeys = (json: string): PrivateKey[] => keySet.parse(JSON.parse(json)).keys;

export async function generatePrivateKey(): Promise<PrivateKey> {
  const pair = await generateKeyPair(ALGORITHM, { extractable: true });
  return privateKey.parse({ ...(await exportJWK(pair.privateKey)), kid: crypto.randomUUID() });
}

/** The public part of a key, as a JWK. */
export const toPublicJwk = ({ _id, x, y }: KeyFields): JWK => ({
  kid: _id,
  kty: "EC",
  crv: "P-256",
  x,
  y,
  alg: ALGORITHM,
  use: "sig",
});
