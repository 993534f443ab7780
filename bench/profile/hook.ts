import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Session } from "node:inspector/promises";

// Loaded into every Node process of a run with --profile. The first SIGUSR2 starts a CPU profile, and the
// second one writes it to BENCH_PROFILES/<pid>.cpuprofile.

const dir = process.env["BENCH_PROFILES"] ?? "";
const session = new Session();
session.connect();
let isProfiling = false;

process.on("SIGUSR2", () => {
  isProfiling = !isProfiling;
  void (isProfiling ? start() : stop());
});

async function start(): Promise<void> {
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
}

async function stop(): Promise<void> {
  const { profile } = await session.post("Profiler.stop");
  writeFileSync(join(dir, `${process.pid}.cpuprofile`), JSON.stringify(profile));
}
