import { hash, verify, type Options } from "@node-rs/argon2";

/**
 * OWASP's parameters for argon2id, which is the library's default algorithm. Each hash is a PHC
 * string that carries its own parameters and salt, so raising these breaks no old one.
 */
const parameters: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export const hashPassword = (password: string): Promise<string> =>
  hash(password.normalize("NFC"), parameters);

// Compared against where there is no account, so that the answer takes the same time.
const nobody = hashPassword(crypto.randomUUID());

/** Whether the password is the account's; without an account, no, and as slowly. */
export async function isPassword(password: string, stored: string | undefined): Promise<boolean> {
  const matches = await verify(stored ?? (await nobody), password.normalize("NFC"));
  return matches && stored !== undefined;
}
