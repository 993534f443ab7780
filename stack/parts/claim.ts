import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { processIdentity, tryLock, until } from "#stack/process";

/** Marks every process that was started for a folder, so that it is found after a crash. */
const MARK = "STACK_DIR";

/** The environment variables of every process that is started for `dir`. */
export function ownerVariables(dir: string): Readonly<Record<string, string>> {
  return { [MARK]: resolve(dir) };
}

const TERM_TIMEOUT_MS = 10_000;
const KILL_TIMEOUT_MS = 5_000;

/**
 * Claims `dir` for this process, so that no other process starts parts there. Processes that a killed
 * owner left running are stopped first. Returns the function that releases the claim.
 */
export async function claim(dir: string, log: (line: string) => void): Promise<() => void> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const release = acquire(dir);
  try {
    await stopLeftovers(dir, log);
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

/** Throws if another process has claimed `dir`. */
export function assertUnclaimed(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  acquire(dir)();
}

function acquire(dir: string): () => void {
  const release = tryLock(join(dir, "owner"));
  if (typeof release === "number") throw new Error(`${dir} is in use by process ${release}.`);
  return release;
}

async function stopLeftovers(dir: string, log: (line: string) => void): Promise<void> {
  const found = findLeftovers(dir);
  if (found.length === 0) return;
  log(`Stopping ${found.length} processes of an earlier start that was killed.`);
  signalEach(found, "SIGTERM");
  const ended = () => found.every(({ pid, id }) => processIdentity(pid) !== id);
  const what = "the processes of an earlier start to end";
  await until(ended, { what, timeoutMs: TERM_TIMEOUT_MS }).catch(() =>
    signalEach(found, "SIGKILL"),
  );
  await until(() => findLeftovers(dir).length === 0, { what, timeoutMs: KILL_TIMEOUT_MS });
}

interface Leftover {
  readonly pid: number;
  readonly id: string;
}

/** Reads the environment of every process of this user from /proc. Without /proc it finds none. */
function findLeftovers(dir: string): Leftover[] {
  if (!existsSync("/proc/self/environ")) return [];
  const wanted = `${MARK}=${resolve(dir)}`;
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (Number.isNaN(pid) || pid === process.pid) return [];
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(wanted)) return [];
    } catch {
      return []; // It belongs to another user, or has ended.
    }
    const id = processIdentity(pid);
    return id === undefined ? [] : [{ pid, id }];
  });
}

function signalEach(leftovers: readonly Leftover[], signal: NodeJS.Signals): void {
  for (const { pid, id } of leftovers) if (processIdentity(pid) === id) process.kill(pid, signal);
}
