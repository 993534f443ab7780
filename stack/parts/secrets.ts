import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** Returns the secret with a name, which is the same at every start. */
export type Secrets = (name: string) => string;

const SECRET_BYTES = 24;

/**
 * Opens a file of secrets that only its owner can read. A secret is generated on first use, and written
 * before it is returned, so that a part never has a password that the file lacks.
 */
export function openSecrets(path: string): Secrets {
  return (name) => {
    const secrets = read(path); // Read each time: another user of the file can have added a secret.
    const existing = secrets[name];
    if (existing !== undefined) return existing;
    const generated = randomBytes(SECRET_BYTES).toString("hex"); // Hex needs no escaping in a URL.
    secrets[name] = generated;
    writeFileSync(`${path}.new`, JSON.stringify(secrets, null, 2), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return generated;
  };
}

function read(path: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Record<string, string>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Error(`${path} cannot be read`, { cause: error });
  }
}
