import { setTimeout as sleep } from "node:timers/promises";
import { startFloors } from "./floors/servers.ts";
import { measureRounds } from "./measure/rounds.ts";
import { measureRest } from "./measure/sample.ts";
import type { Options } from "./options.ts";
import { describeMachine } from "./report/machine.ts";
import { ratiosOf } from "./report/ratios.ts";
import { toRow, type Result } from "./report/result.ts";
import { durability, startMeasured } from "./setup/marketplace.ts";
import { signUpPeople } from "./setup/people.ts";
import { families } from "./workloads/index.ts";

const REST_MS = 4_000;

/** Starts everything, measures the chosen workloads, and stops everything. */
export async function run(options: Options, log: (line: string) => void): Promise<Result> {
  const time = new Date().toISOString();
  await using cleanup = new AsyncDisposableStack();
  log("starting the marketplace and the bare parts");
  const marketplace = await startMeasured(log);
  cleanup.defer(() => marketplace.close());
  const floors = await startFloors(marketplace, 9);
  cleanup.defer(() => floors.stop());

  const measured = [...marketplace.processes, ...floors.processes];
  const people = await signUpPeople(marketplace);
  const chosen = options.families.length > 0 ? options.families : Object.keys(families);
  const workloads = [];
  for (const family of chosen) {
    log(`preparing ${family}`);
    workloads.push(...((await families[family]?.({ marketplace, people, floors })) ?? []));
  }

  await marketplace.settled();
  const rest = await measureRest(measured, () => sleep(REST_MS));
  const samples = await measureRounds(workloads, options.plan, {
    measured,
    rest,
    log,
    marketplaceProcesses: marketplace.processes.map(({ name }) => name),
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
