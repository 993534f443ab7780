import { readFile, writeFile } from "node:fs/promises";
import { measureGrowth } from "./growth/growth.ts";
import { measureOverload } from "./overload/overload.ts";
import { readOptions } from "./options.ts";
import { regressions } from "./report/compare.ts";
import { writePage } from "./report/page.ts";
import type { Result } from "./report/result.ts";
import { toText } from "./report/table.ts";
import { run } from "./run.ts";
import { families } from "./workloads/index.ts";

// `npm run bench` measures the marketplace next to its floors, in one run on one machine. Names of
// workloads run only those: `npm run bench -- list ticket`. `npm run bench -- growth` searches markets of
// a thousand to a million tickets, and `npm run bench -- overload` asks for more than can be done.

/** Measurements with a table of their own. */
const others = new Map([
  ["growth", measureGrowth],
  ["overload", measureOverload],
]);

const options = readOptions(process.argv.slice(2), [...Object.keys(families), ...others.keys()]);
const before = options.compare && (JSON.parse(await readFile(options.compare, "utf8")) as Result);

/** The time since the start, for the lines that tell of the progress. */
const elapsed = (): string => `${(performance.now() / 1000).toFixed(0).padStart(4)} s `;

const log = (line: string): void => console.error(`${elapsed()} ${line}`);

const chosen = [...others].filter(([name]) => options.families.includes(name));
for (const [, measure] of chosen) console.log((await measure(options.isQuick, log)).join("\n"));
if (chosen.length > 0) process.exit();

const result = await run(options, log);
console.log(toText(result));
if (options.json) await writeFile(options.json, JSON.stringify(result, undefined, 2));
if (options.write) await writePage(result);

if (before) {
  const worse = regressions(before, result);
  for (const line of worse) console.error(`WORSE  ${line}`);
  if (worse.length > 0) process.exitCode = 1;
}
