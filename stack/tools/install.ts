import { execFile } from "node:child_process";
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { tryLock, until } from "#stack/process";

export type Log = (line: string) => void;

/** Fills the folder `temp`, which is then renamed to `home`. */
type Fill = (temp: string, home: string) => Promise<void>;

const toolsDir = join(import.meta.dirname, "../../.tools");

/** The folder of a tool, if it is installed completely. */
export function installed(name: string): string | undefined {
  const home = join(toolsDir, name);
  // Some tools contain their own path, and do not work in a folder that was moved.
  const note = join(home, ".home");
  return existsSync(note) && readFileSync(note, "utf8") === home ? home : undefined;
}

/**
 * Returns the folder `.tools/<name>`, which is filled once. `fill` works in a temporary folder, which
 * is renamed when it is complete, so a kill leaves no incomplete tool. If two processes install the
 * same tool, the second waits for the first.
 */
export function install(name: string, fill: Fill, log: Log): Promise<string> {
  const begun = running.get(name) ?? installOnce(name, fill, log);
  running.set(name, begun);
  return begun.finally(() => running.delete(name));
}

const running = new Map<string, Promise<string>>();

async function installOnce(name: string, fill: Fill, log: Log): Promise<string> {
  const home = installed(name);
  if (home !== undefined) return home;
  mkdirSync(toolsDir, { recursive: true });
  const release = await lock(join(toolsDir, `${name}.lock`), log);
  try {
    return installed(name) ?? (await fillNew(name, fill, log));
  } finally {
    release();
  }
}

async function fillNew(name: string, fill: Fill, log: Log): Promise<string> {
  const home = join(toolsDir, name);
  const temp = join(toolsDir, `.${name}.${process.pid}`);
  const start = performance.now();
  for (const old of [home, ...globSync(join(toolsDir, `.${name}.*`))]) {
    rmSync(old, { recursive: true, force: true });
  }
  mkdirSync(temp);
  await fill(temp, home);
  writeFileSync(join(temp, ".home"), home);
  renameSync(temp, home);
  log(`Installed .tools/${name} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return home;
}

async function lock(path: string, log: Log): Promise<() => void> {
  let told = false;
  const take = () => {
    const held = tryLock(path);
    if (typeof held !== "number") return held;
    if (!told) log(`Waiting for process ${held} to install ${basename(path, ".lock")}`);
    told = true;
    return undefined;
  };
  return until(take, { what: `the lock ${path}`, timeoutMs: 600_000, everyMs: 200 });
}

/** Runs a program to its end and returns its output. An error contains its error output. */
export async function execute(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>>; timeoutMs?: number } = {},
): Promise<string> {
  const { timeoutMs = 300_000, ...others } = options;
  const env = { ...process.env, ...options.env };
  const limits = { ...others, env, timeout: timeoutMs, maxBuffer: 16 << 20 };
  try {
    const { stdout, stderr } = await promisify(execFile)(command, [...args], limits);
    return stdout || stderr;
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    const words = stderr.trim().split("\n").at(-1) || message;
    throw new Error(`${basename(command)} failed: ${words}`, { cause: error });
  }
}
