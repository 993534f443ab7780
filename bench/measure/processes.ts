import { readdirSync, readFileSync } from "node:fs";

// CPU time and memory of processes, from the accounting of the operating system. A process counts with
// all that it started: each one that the launcher starts leads a process group.

/** A value for each process, by its name. */
export type ByProcess = Readonly<Record<string, number>>;

/** A process to measure, by its pid. */
export interface Measured {
  readonly name: string;
  readonly pid: number;
}

const TICK_MICROS = 10_000; // USER_HZ is 100 on every Linux.
const PAGE_BYTES = 4_096;

interface Stat {
  readonly pid: number;
  readonly group: number;
  readonly cpuMicros: number;
  readonly bytes: number;
}

/** The fields of /proc/<pid>/stat after the name, which can contain spaces, counted from field 3. */
function readStat(pid: string): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const field = (number: number): number => Number(fields[number - 3]);
    const ticks = [14, 15, 16, 17].map(field); // Own and ended children's time: user, system.
    return {
      pid: Number(pid),
      group: field(5),
      cpuMicros: ticks.reduce((total, each) => total + each, 0) * TICK_MICROS,
      bytes: field(24) * PAGE_BYTES,
    };
  } catch {
    return undefined; // It has ended in the meantime.
  }
}

function perGroup(measured: readonly Measured[], value: (stat: Stat) => number): ByProcess {
  const stats = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(readStat)
    .filter((stat) => stat !== undefined);
  const entries = measured.map(({ name, pid }) => {
    const own = stats.filter((stat) => stat.group === pid || stat.pid === pid);
    return [name, own.reduce((total, stat) => total + value(stat), 0)] as const;
  });
  return Object.fromEntries(entries);
}

/** The CPU time of each process since its start, in microseconds. */
export const cpuMicros = (measured: readonly Measured[]): ByProcess =>
  perGroup(measured, ({ cpuMicros }) => cpuMicros);

/** The resident memory of each process, in MiB. */
export const memoryMb = (measured: readonly Measured[]): ByProcess =>
  perGroup(measured, ({ bytes }) => Math.round(bytes / 2 ** 20));

export const difference = (later: ByProcess, earlier: ByProcess): ByProcess =>
  Object.fromEntries(Object.entries(later).map(([name, v]) => [name, v - (earlier[name] ?? 0)]));
