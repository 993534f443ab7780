import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { processIdentity, tryLock, until } from "#stack/process";

/** The variable by which we know our own again, however far they have strayed from us. */
const mark = "STACK_DIR";

/** What must stand in the environment of everything that is started for `dir`. */
export function ownerVariables(dir: string): Readonly<Record<string, string>> {
  return { [mark]: resolve(dir) };
}

/**
 * Makes `dir` this process's own: nobody else may start parts there, and what an earlier process
 * left running (it can only have been killed) is ended first. Gives the way to let go of it.
 */
export async function claim(dir: string, log: (line: string) => void): Promise<() => void> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const held = take(dir);
  try {
    await endLeftovers(dir, log);
  } catch (error) {
    held();
    throw error;
  }
  return held;
}

/** Throws where another process has `dir` now. */
export function assertUnclaimed(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  take(dir)();
}

function take(dir: string): () => void {
  const held = tryLock(join(dir, "owner"));
  if (typeof held === "number") throw new Error(`${dir} is in use by process ${held}.`);
  return held;
}

async function endLeftovers(dir: string, log: (line: string) => void): Promise<void> {
  const left = leftovers(dir);
  if (left.length === 0) return;
  log(`Ending ${left.length} processes that a killed start left behind.`);
  signalEach(left, "SIGTERM");
  const gone = () => left.every(({ pid, id }) => processIdentity(pid) !== id);
  const what = "leftovers to end";
  await until(gone, { what, timeoutMs: 10_000 }).catch(() => signalEach(left, "SIGKILL"));
  await until(() => leftovers(dir).length === 0, { what, timeoutMs: 5_000 });
}

interface Leftover {
  readonly pid: number;
  readonly id: string;
}

/** Linux shows every process's first environment to its user; elsewhere nothing is found. */
function leftovers(dir: string): Leftover[] {
  if (!existsSync("/proc/self/environ")) return [];
  const wanted = `${mark}=${resolve(dir)}`;
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (Number.isNaN(pid) || pid === process.pid) return [];
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(wanted)) return [];
    } catch {
      return []; // another user's, or gone
    }
    const id = processIdentity(pid);
    return id === undefined ? [] : [{ pid, id }];
  });
}

function signalEach(left: readonly Leftover[], signal: NodeJS.Signals): void {
  for (const { pid, id } of left) if (processIdentity(pid) === id) process.kill(pid, signal);
}
