import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { prepareWeb } from "#stack/launcher";
import { check, type Tally } from "./check.ts";

// `npm test` runs the checks, then all tests on real parts. Arguments after `--` are passed to vitest,
// which then runs alone: `npm test -- services/orders`.

const root = join(import.meta.dirname, "../..");

/** The fields of vitest's JSON report that this reads. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { name: string; assertionResults: { fullName: string; duration?: number }[] }[];
}

function read(file: string): Report {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Report;
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };
  }
}

interface TimedTest {
  file: string;
  name: string;
  durationMs: number;
}

const timedTests: TimedTest[] = [];

const timesIn = ({ testResults }: Report): TimedTest[] =>
  testResults.flatMap(({ name: path, assertionResults }) =>
    assertionResults.map(({ fullName: name, duration: durationMs = 0 }) => ({
      file: relative(root, path),
      name,
      durationMs,
    })),
  );

const SLOWEST_SHOWN = 10;

function printSlowest(): void {
  console.log(`\nThe ${SLOWEST_SHOWN} slowest tests:`);
  const slowest = timedTests.sort((a, b) => b.durationMs - a.durationMs).slice(0, SLOWEST_SHOWN);
  for (const { file, name, durationMs } of slowest) {
    const seconds = (durationMs / 1_000).toFixed(1).padStart(6);
    console.log(`${seconds} s  ${file}: ${name}`);
  }
}

/** Runs vitest once. A run that fails outside of any test counts as one failure. */
async function vitest(args: readonly string[], env: Record<string, string> = {}): Promise<Tally> {
  const dir = mkdtempSync(join(tmpdir(), "ticketing-report-"));
  const file = join(dir, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const child = spawn("vitest", ["run", ...args, ...reporters], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  const [code] = (await once(child, "exit")) as [number | null];
  const report = read(file);
  timedTests.push(...timesIn(report));
  rmSync(dir, { recursive: true, force: true });
  const failed = report.numFailedTests + (code !== 0 && report.numFailedTests === 0 ? 1 : 0);
  return { passed: report.numPassedTests, failed, skipped: report.numPendingTests };
}

const runs: readonly (() => Promise<Tally>)[] = [
  check,
  // Tests wait for their parts half of the time, so four workers use two cores fully.
  () => vitest(["--project", "services", "--project", "parts", "--maxWorkers=4"]),
  () => vitest(["--project", "e2e"], { INSTANCES: "2" }),
  () => vitest(["--project", "outages"]),
];

await prepareWeb();
const only = process.argv.slice(2);
const total: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const run of only.length > 0 ? [() => vitest(only)] : runs) {
  const { passed, failed, skipped } = await run();
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}
if (only.length === 0) printSlowest();
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
process.exit(total.failed > 0 ? 1 : 0);
