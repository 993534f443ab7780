import { setTimeout as sleep } from "node:timers/promises";
import { measureRounds } from "./measure/rounds.ts";
import { measureRest } from "./measure/sample.ts";
import type { Options } from "./options.ts";
import { enableProfiles, profiler } from "./profile/profiler.ts";
import { describeMachine } from "./report/machine.ts";
import { ratiosOf } from "./report/ratios.ts";
import { toRow, type Result } from "./report/result.ts";
import { durability } from "./setup/marketplace.ts";
import { startParties, type Parties } from "./setup/parties.ts";
import type { Workload } from "./workload.ts";
import { chooseFamilies, families } from "./workloads/index.ts";

const REST_MS = 4_000;

/** Starts everything, measures the chosen workloads, and stops everything. */
export async function run(options: Options, log: (line: string) => void): Promise<Result> {
  const time = new Date().toISOString();
  await using cleanup = new AsyncDisposableStack();
  if (options.profile) enableProfiles();
  log("starting the marketplace, the bare parts and the rival");
  const parties = await startParties(cleanup, log);
  const workloads = await prepare(parties, options.families, log);
  const measured = parties.measured();
  await parties.marketplace.settled();
  const rest = await measureRest(measured, () => sleep(REST_MS));
  const samples = await measureRounds(workloads, options.plan, {
    measured,
    marketplaceProcesses: parties.marketplace.processes.map(({ name }) => name),
    rest,
    log,
    ...(options.profile ? { profile: profiler(measured, time, log) } : {}),
  });
  const rows = samples.map(toRow);
  return {
    time,
    machine: describeMachine(),
    durability,
    plan: { ...options.plan },
    rest,
    rows,
    ratios: ratiosOf(rows),
  };
}

/** Creates the users, tickets and requests of the chosen workloads. */
async function prepare(
  parties: Parties,
  names: readonly string[],
  log: (line: string) => void,
): Promise<Workload[]> {
  const workloads: Workload[] = [];
  for (const name of chooseFamilies(names)) {
    log(`preparing ${name}`);
    workloads.push(...((await families[name]?.(parties)) ?? []));
  }
  return workloads;
}
