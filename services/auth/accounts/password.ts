import { dictionary } from "@zxcvbn-ts/language-common";
import { hash, verify, type Options } from "@node-rs/argon2";
import pLimit from "p-limit";
import { CallError, invalidField } from "#runtime/errors.ts";

/**
 * OWASP's parameters for argon2id, which is the library's default algorithm. Each hash is a PHC
 * string that carries its own parameters and salt, so raising these breaks no old one.
 */
const parameters = {
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
} as const satisfies Options;

/** So many hashes at once, so that a flood of sign-ins leaves a core for everything else. */
const WIDTH = 2;
/** So many may wait: more are told to come back, before it takes longer than anybody waits. */
const ROOM = 100;
const pool = pLimit(WIDTH);

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (pool.pendingCount < ROOM) return pool(work);
  throw new CallError("NOT_READY", "many people are signing in; try again in a moment", {
    retryAfterMs: 2_000,
  });
}

export const hashPassword = async (password: string): Promise<string> =>
  inTurn(() => hash(password.normalize("NFC"), parameters));

// Compared against where there is no account, so that the answer takes the same time.
const nobody = hash(crypto.randomUUID(), parameters);

/** Whether the password is the account's; without an account, no, and as slowly. */
export async function isPassword(password: string, stored: string | undefined): Promise<boolean> {
  const against = stored ?? (await nobody);
  const matches = await inTurn(() => verify(against, password.normalize("NFC")));
  return matches && stored !== undefined;
}

/** Whether a hash was made with weaker parameters than those of now. */
export function isWeak(stored: string): boolean {
  const [, memory, time] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(stored) ?? [];
  return Number(memory) < parameters.memoryCost || Number(time) < parameters.timeCost || !memory;
}

const common = new Set(dictionary["passwords-common"].map((word) => String(word).toLowerCase()));
const SHORTEST = 8;
const LONGEST = 128;

/**
 * Refuses what NIST's SP 800-63B asks to refuse: the short, the ones that everybody tries first, and the
 * account's own address. What it is composed of is the user's business.
 */
export function mustBeGood(password: string, email: string, field = "password"): void {
  const typed = password.normalize("NFC");
  const length = [...typed].length;
  if (length < SHORTEST || length > LONGEST) {
    throw invalidField(field, `must have ${SHORTEST} to ${LONGEST} characters`);
  }
  const plain = typed.toLowerCase();
  const own = email.toLowerCase();
  if (common.has(plain) || plain === own || plain === own.split("@")[0]) {
    const words = "is among those that are tried first; choose another";
    throw invalidField(field, words, "PASSWORD_TOO_COMMON");
  }
}
