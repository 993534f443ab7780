import { readFile, writeFile } from "node:fs/promises";
import { measureGrowth } from "./growth/growth.ts";
import { readOptions } from "./options.ts";
import { regressions } from "./report/compare.ts";
import { writePage } from "./report/page.ts";
import type { Result } from "./report/result.ts";
import { toText } from "./report/table.ts";
import { run } from "./run.ts";
import { families } from "./workloads/index.ts";

// `npm run bench` measures the marketplace next to its floors, in one run on one machine. Names of
// workloads run only those: `npm run bench -- list ticket`. `npm run bench -- growth` searches markets of
// a thousand to a million tickets.

const GROWTH = "growth";

const options = readOptions(process.argv.slice(2), [...Object.keys(families), GROWTH]);
const before = options.compare && (JSON.parse(await readFile(options.compare, "utf8")) as Result);

/** The time since the start, for the lines that tell of the progress. */
const elapsed = (): string => `${(performance.now() / 1000).toFixed(0).padStart(4)} s `;

const log = (line: string): void => console.error(`${elapsed()} ${line}`);

if (options.families.includes(GROWTH)) {
  console.log((await measureGrowth(options.isQuick, log)).join("\n"));
  process.exit();
}

const result = await run(options, log);
console.log(toText(result));
if (options.json) await writeFile(options.json, JSON.stringify(result, undefined, 2));
if (options.write) await writePage(result);

if (before) {
  const worse = regressions(before, result);
  for (const line of worse) console.error(`WORSE  ${line}`);
  if (worse.length > 0) process.exitCode = 1;
}
