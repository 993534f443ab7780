import { existsSync, mkdirSync, readlinkSync, renameSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { until } from "#stack/process";
import type { Measured } from "../measure/processes.ts";
import type { Sample } from "../measure/sample.ts";
import type { Workload } from "../workload.ts";

/** The folder of all profiles, which git ignores. */
const PROFILES = join(import.meta.dirname, "../../.bench");

/** Makes every Node process that starts from now on able to write CPU profiles. */
export function enableProfiles(): void {
  const hook = pathToFileURL(join(import.meta.dirname, "hook.ts")).href;
  mkdirSync(PROFILES, { recursive: true });
  process.env["BENCH_PROFILES"] = PROFILES;
  process.env["NODE_OPTIONS"] = `${process.env["NODE_OPTIONS"] ?? ""} --import=${hook}`.trim();
}

/** Returns a function that profiles the Node processes during one pass of a workload. */
export function profiler(
  measured: readonly Measured[],
  time: string,
  log: (line: string) => void,
): (workload: Workload, pass: () => Promise<Sample>) => Promise<Sample> {
  const dir = join(PROFILES, time.replaceAll(":", ""));
  const nodes = measured.filter(isNode);
  const toggle = (): void => nodes.forEach(({ pid }) => process.kill(pid, "SIGUSR2"));
  return async ({ name }, pass) => {
    toggle();
    const sample = await pass();
    toggle();
    mkdirSync(join(dir, name), { recursive: true });
    for (const node of nodes) {
      const file = join(PROFILES, `${node.pid}.cpuprofile`);
      await until(() => existsSync(file), { what: `the profile of ${node.name}` });
      renameSync(file, join(dir, name, `${node.name}.cpuprofile`));
    }
    log(`profiles of ${name} are in ${join(dir, name)}`);
    return sample;
  };
}

/** Other programs would end at the signal, and so would this one, which started without the hook. */
const isNode = ({ pid }: Measured): boolean =>
  pid !== process.pid && basename(readlinkSync(`/proc/${pid}/exe`)) === "node";
