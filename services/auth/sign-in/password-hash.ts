import { hash, verify, type Options } from "@node-rs/argon2";
import pLimit from "p-limit";
import { CallError } from "#runtime/errors.ts";

/**
 * OWASP's parameters for argon2id, which is the library's default algorithm. Each hash is a PHC string
 * with its own parameters and salt, so raising these invalidates no stored hash.
 */
const parameters = {
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
} as const satisfies Options;

/** The number of concurrent hashes. A flood of sign-ins leaves CPU time for everything else. */
const CONCURRENCY = 2;
/** The number of hashes that may wait. More are refused, because they would exceed the deadline. */
const CAPACITY = 100;
const pool = pLimit(CONCURRENCY);

function schedule<T>(work: () => Promise<T>): Promise<T> {
  if (pool.pendingCount < CAPACITY) return pool(work);
  throw new CallError("NOT_READY", "many people are signing in; try again in a moment", {
    retryAfterMs: 2_000,
  });
}

export const hashPassword = async (password: string): Promise<string> =>
  schedule(() => hash(password.normalize("NFC"), parameters));

// Verified where there is no account, so that the response takes the same time.
const dummyHash = hash(crypto.randomUUID(), parameters);

/** Whether the password matches the hash. Without a hash it takes as long, and returns false. */
export async function verifyPassword(
  password: string,
  passwordHash: string | undefined,
): Promise<boolean> {
  const against = passwordHash ?? (await dummyHash);
  const matches = await schedule(() => verify(against, password.normalize("NFC")));
  return matches && passwordHash !== undefined;
}

/** Whether a hash was made with weaker parameters than the current ones. */
export function needsRehash(passwordHash: string): boolean {
  const [, memory, time] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(passwordHash) ?? [];
  return Number(memory) < parameters.memoryCost || Number(time) < parameters.timeCost || !memory;
}
