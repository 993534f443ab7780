import type { Pass, Workload } from "../workload.ts";
import type { ByProcess, Measured } from "./processes.ts";
import { takeSample, type Sample } from "./sample.ts";

export interface Plan {
  readonly rounds: number;
  readonly warmUpRequests: number;
  readonly closedSeconds: number;
  readonly openSeconds: number;
}

/** All passes of a workload. */
export interface Samples {
  readonly workload: Workload;
  readonly closed: Sample[];
  readonly open: Sample[];
}

interface Setting {
  readonly measured: readonly Measured[];
  /** The processes of the workloads that name none. */
  readonly marketplaceProcesses: readonly string[];
  readonly rest: ByProcess;
  readonly log: (line: string) => void;
  /** Called around a pass of each workload that is not counted, after the last round. */
  readonly profile?: (workload: Workload, pass: () => Promise<Sample>) => Promise<Sample>;
}

/**
 * Measures every workload in every round, so that a change of the machine's pace during the run meets
 * all of them. Every second round goes backwards, so that none is always measured after the same one.
 */
export async function measureRounds(
  workloads: readonly Workload[],
  plan: Plan,
  { measured, marketplaceProcesses, rest, log, profile }: Setting,
): Promise<Samples[]> {
  const sample = (workload: Workload, pass: Pass): Promise<Sample> => {
    const used = workload.processes ?? marketplaceProcesses;
    const own = measured.filter(({ name }) => used.includes(name));
    return takeSample(workload, pass, own, rest);
  };
  const closedPass = (workload: Workload): Promise<Sample> =>
    sample(workload, { loop: "closed", seconds: plan.closedSeconds });
  const all = workloads.map((workload): Samples => ({ workload, closed: [], open: [] }));
  for (const { workload } of all) {
    log(`warming up ${workload.name}`);
    await sample(workload, { loop: "warm-up", requests: plan.warmUpRequests });
  }
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const { workload, closed, open } of round % 2 === 0 ? all.toReversed() : all) {
      log(`round ${round} of ${plan.rounds}: ${workload.name}`);
      closed.push(await closedPass(workload));
      open.push(await sample(workload, { loop: "open", seconds: plan.openSeconds }));
    }
  }
  if (profile) for (const { workload } of all) await profile(workload, () => closedPass(workload));
  return all;
}
