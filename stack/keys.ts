import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { exportJWK, generateKeyPair } from "jose";

/** Auth's signing keys as it wants them, made at the first start and kept where only we can read. */
export async function signingKeys(path: string): Promise<string> {
  if (existsSync(path)) return readFileSync(path, "utf8");
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  const key = { ...jwk, kid: crypto.randomUUID(), alg: "ES256", use: "sig" };
  const set = JSON.stringify({ keys: [key] });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, set, { mode: 0o600 });
  return set;
}
