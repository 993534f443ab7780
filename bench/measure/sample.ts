import type { Outcome } from "../load/load.ts";
import type { Pass, Workload } from "../workload.ts";
import { cpuMicros, difference, memoryMb, type ByProcess, type Measured } from "./processes.ts";

/** One pass of one workload. */
export interface Sample {
  readonly outcome: Outcome;
  readonly perSecond: number;
  /** CPU microseconds per successful request of each process, without what it uses at rest. */
  readonly cpu: ByProcess;
  readonly memoryMb: ByProcess;
}

/** The CPU that each process uses at rest, in microseconds per second. */
export async function measureRest(
  measured: readonly Measured[],
  wait: () => Promise<unknown>,
): Promise<ByProcess> {
  const before = cpuMicros(measured);
  const begin = performance.now();
  await wait();
  const seconds = (performance.now() - begin) / 1000;
  return mapValues(difference(cpuMicros(measured), before), (micros) => micros / seconds);
}

const mapValues = (values: ByProcess, change: (value: number, name: string) => number): ByProcess =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value, name)]));

/** Runs one pass, until the last consumer of its events has done its work. */
export async function takeSample(
  workload: Workload,
  pass: Pass,
  measured: readonly Measured[],
  rest: ByProcess,
): Promise<Sample> {
  const run = await workload.prepare(pass);
  const before = cpuMicros(measured);
  const begin = performance.now();
  const outcome = await run();
  await workload.settled?.();
  const seconds = (performance.now() - begin) / 1000;
  const spent = difference(cpuMicros(measured), before);
  const requests = outcome.latenciesMs.length;
  return {
    outcome,
    perSecond: requests / outcome.seconds,
    cpu: mapValues(spent, (micros, name) =>
      Math.max(0, (micros - (rest[name] ?? 0) * seconds) / requests),
    ),
    memoryMb: memoryMb(measured),
  };
}
