import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** Gives the secret of that name, the same one at every start. */
export type Secrets = (name: string) => string;

/**
 * Secrets that are made when first asked for, and kept in a file that only its owner can read.
 * They are written before they are given: a part never knows a password that we could forget.
 */
export function openSecrets(path: string): Secrets {
  return (name) => {
    const known = read(path); // each time, for others may have added theirs
    const old = known[name];
    if (old !== undefined) return old;
    const made = randomBytes(24).toString("hex"); // good in a URL, a file and a key alike
    known[name] = made;
    writeFileSync(`${path}.new`, JSON.stringify(known, null, 2), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return made;
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
