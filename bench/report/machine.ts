import { arch, availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** What the figures were measured on. */
export const describeMachine = (): Record<string, string> => ({
  cores: String(availableParallelism()),
  processor: cpus()[0]?.model.trim() ?? arch(),
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  system: `Linux ${release().split("-")[0]}`,
  node: process.version,
  // Above the number of cores, others were using the machine too.
  load: loadavg()
    .map((value) => value.toFixed(1))
    .join(" "),
});

/** The same as one line. */
export const machineLine = (): string =>
  Object.entries(describeMachine())
    .map(([name, value]) => `${name}: ${value}`)
    .join("; ");
