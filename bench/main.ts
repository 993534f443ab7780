import { readFile, writeFile } from "node:fs/promises";
import { readOptions } from "./options.ts";
import { regressions } from "./report/compare.ts";
import type { Result } from "./report/result.ts";
import { toText } from "./report/table.ts";
import { run } from "./run.ts";
import { families } from "./workloads/index.ts";

// `npm run bench` measures the marketplace next to its floors, in one run on one machine. Names of
// workloads run only those: `npm run bench -- list ticket`.

const options = readOptions(process.argv.slice(2), Object.keys(families));
const before = options.compare && (JSON.parse(await readFile(options.compare, "utf8")) as Result);

const result = await run(options, (line) => console.error(line));
console.log(toText(result));
if (options.json) await writeFile(options.json, JSON.stringify(result, undefined, 2));

if (before) {
  const worse = regressions(before, result);
  for (const line of worse) console.error(`WORSE  ${line}`);
  if (worse.length > 0) process.exitCode = 1;
}
