import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts private parts under a secret of the environment. Each ciphertext is bound to its key's id. */
export function privateKeyCipher(sealingKey: string) {
  const secret = Buffer.from(
    hkdfSync("sha256", sealingKey, "", "ticketing signing keys", KEY_BYTES),
  );
  return {
    encrypt(kid: string, privatePart: string): string {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, secret, iv).setAAD(Buffer.from(kid));
      const ciphertext = Buffer.concat([cipher.update(privatePart, "utf8"), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), ciphertext]).toString("base64url");
    },
    decrypt(kid: string, sealed: string): string {
      const bytes = Buffer.from(sealed, "base64url");
      const decipher = createDecipheriv(ALGORITHM, secret, bytes.subarray(0, IV_BYTES))
        .setAAD(Buffer.from(kid))
        .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      const ciphertext = bytes.subarray(IV_BYTES + TAG_BYTES);
      return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString("utf8");
    },
  };
}
