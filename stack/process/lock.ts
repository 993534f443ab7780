import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

/** The position of `starttime` in /proc/<pid>/stat, counted from the field after the state. */
const START_TIME = 18;

/**
 * Names a living process by its pid and start time, so that a later process with the same pid has
 * another name. Undefined if the process does not live. Without /proc it is the pid alone.
 */
export function processIdentity(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? undefined : `${pid} ${fields[START_TIME]}`;
  } catch {
    return `${pid}`;
  }
}

/**
 * Acquires the lock file at `path` for this process. Returns the function that releases it, or the
 * pid of the process that holds it. The lock of a process that no longer lives is taken over.
 */
export function tryLock(path: string): (() => void) | number {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, processIdentity(process.pid) ?? "");
  try {
    for (;;) {
      try {
        linkSync(own, path); // Atomic: the lock appears with its content, or not at all.
        return () => rmSync(path, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = read(path);
      if (holder === undefined) continue;
      const pid = Number(holder.split(" ")[0]);
      if (processIdentity(pid) === holder) return pid;
      removeStale(path, holder);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** Renames a stale lock before it removes it, so that it cannot remove a newer one. */
function removeStale(path: string, holder: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
    if (read(aside) !== holder) linkSync(aside, path);
  } catch {
    // Another process was faster, and the caller reads the lock again.
  } finally {
    rmSync(aside, { force: true });
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
