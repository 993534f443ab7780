import { percentile, spread, sum, type Spread } from "../figures.ts";
import type { ByProcess } from "../measure/processes.ts";
import type { Samples } from "../measure/rounds.ts";
import type { Side } from "../workload.ts";

/** The figures of one workload, over all rounds. */
export interface Row {
  readonly name: string;
  readonly family: string;
  readonly title: string;
  readonly side: Side;
  /** Requests per second in the closed loop. */
  readonly perSecond: Spread;
  /** Latencies in the open loop, in milliseconds. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** CPU microseconds per request in the closed loop. */
  readonly cpu: Spread;
  readonly cpuByProcess: ByProcess;
  readonly memoryMb: ByProcess;
  /** The number of failed requests, by their error. */
  readonly failures: ByProcess;
}

/** A comparison of figures of the same run, which does not depend on the machine. */
export interface Ratio {
  readonly name: string;
  readonly title: string;
  readonly value: number;
  readonly must?: number;
  readonly goal?: number;
}

/** All that a run found, as `--json` writes it. */
export interface Result {
  readonly time: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly durability: Readonly<Record<string, string>>;
  readonly plan: Readonly<Record<string, number>>;
  readonly rest: ByProcess;
  readonly rows: readonly Row[];
  readonly ratios: readonly Ratio[];
}

/** The median of each process over the rounds. */
function medians(all: readonly ByProcess[]): ByProcess {
  const names = Object.keys(all[0] ?? {});
  const entries = names.map((name) => [name, spread(all.map((one) => one[name] ?? 0)).median]);
  return Object.fromEntries(entries);
}

function addUp(all: readonly ByProcess[]): ByProcess {
  const total: Record<string, number> = {};
  for (const one of all) {
    for (const [name, count] of Object.entries(one)) total[name] = (total[name] ?? 0) + count;
  }
  return total;
}

export function toRow({ workload, closed, open }: Samples): Row {
  const latencies = open.flatMap(({ outcome }) => outcome.latenciesMs);
  const { name, family, title, side } = workload;
  return {
    name,
    family,
    title,
    side,
    perSecond: spread(closed.map(({ perSecond }) => perSecond)),
    latencyMs: {
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      p999: percentile(latencies, 0.999),
    },
    cpu: spread(closed.map(({ cpu }) => sum(Object.values(cpu)))),
    cpuByProcess: medians(closed.map(({ cpu }) => cpu)),
    memoryMb: open.at(-1)?.memoryMb ?? {},
    failures: addUp([...closed, ...open].map(({ outcome }) => outcome.failures)),
  };
}
