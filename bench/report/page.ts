import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { sum } from "../figures.ts";
import { toChart } from "./chart.ts";
import type { Ratio, Result, Row } from "./result.ts";
import { formatNumber, sharesOf } from "./table.ts";

// docs/performance.md, written from the result of a run.

const docs = join(import.meta.dirname, "../../docs");
const CHART = "images/performance.svg";

const tableOf = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map((_, i) => (i === 0 ? "---" : "--:")), ...rows]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n");

const emphasized = ({ side, title }: Row): string => (side === "ours" ? `**${title}**` : title);

const workloadTable = (rows: readonly Row[]): string =>
  tableOf(
    ["workload", "req/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs", "spread", "of which"],
    rows.map((row) => [
      emphasized(row),
      ...[row.perSecond.median, row.latencyMs.p50, row.latencyMs.p99, row.latencyMs.p999].map(
        formatNumber,
      ),
      formatNumber(row.cpu.median),
      `${formatNumber(row.cpu.min)}–${formatNumber(row.cpu.max)}`,
      sharesOf(row.cpuByProcess),
    ]),
  );

const limit = (value: number | undefined): string => (value === undefined ? "" : `≤ ${value}`);

const ratioOf = ({ value, must = Infinity }: Ratio): string =>
  value > must ? `**${value.toFixed(2)}**` : value.toFixed(2);

const ratioTable = (ratios: readonly Ratio[]): string =>
  tableOf(
    ["ratio", "value", "must", "goal"],
    ratios.map((ratio) => [ratio.title, ratioOf(ratio), limit(ratio.must), limit(ratio.goal)]),
  );

function memoryTable(rows: readonly Row[]): string {
  const most: Record<string, number> = {};
  for (const { memoryMb } of rows) {
    for (const [name, mb] of Object.entries(memoryMb)) most[name] = Math.max(most[name] ?? 0, mb);
  }
  const names = Object.keys(most).toSorted((a, b) => (most[b] ?? 0) - (most[a] ?? 0));
  return tableOf(
    ["process", "MiB"],
    names.map((name) => [name, String(most[name])]),
  );
}

const list = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `- ${name}: ${value}`)
    .join("\n");

function failureLines(rows: readonly Row[]): string {
  const failed = rows.filter(({ failures }) => sum(Object.values(failures)) > 0);
  if (failed.length === 0) return "No request failed.";
  return failed
    .map(({ title, failures }) => {
      const each = Object.entries(failures).map(([error, count]) => `${count} × \`${error}\``);
      return `- ${title}: ${each.join(", ")}`;
    })
    .join("\n");
}

/** The page as Markdown. */
export const toPage = ({ machine, durability, plan, time, rest, rows, ratios }: Result): string =>
  `# Performance

Written by \`npm run bench -- --write\` on ${time.slice(0, 10)}. Times differ from machine to machine; the **ratios** of one run do not, or little. Run it yourself: \`npm run bench -- --quick\` takes a few minutes, \`npm run bench -- list ticket\` measures only some workloads, and \`--json FILE\` with a later \`--compare FILE\` fails if a ratio became worse by more than 15 %.

## How it is measured

- The whole marketplace runs as \`npm start\` runs it, one instance of each service, with the limits per person raised. All workloads are measured in every round, every second round backwards, so a change of the machine's pace meets all of them. The figures are medians over the rounds.
- **CPU µs** is the time on a processor that all processes together spent on a request, from the operating system's accounting, in a closed loop. What a process uses at rest is subtracted: ${formatNumber(sum(Object.values(rest)) / 10_000)} % of a core for everything. It hardly depends on how busy the machine is, as waiting is not in it.
- **Latencies** are those at a fixed arrival rate, which does not wait for responses: a slow answer delays none of the following requests, and all waiting counts.
- A change counts until its last event has reached its last consumer: outboxes and queues are empty, and no process has anything left to do.
- The **floors** are what the bare parts cost in the same run: Envoy by itself, Node's own server behind it, and only those majority writes and confirmed messages that a change cannot do without ([steps.ts](../bench/floors/steps.ts)).
- The **rival** ([rival](../bench/rival)) is one Express and Mongoose process behind the same Envoy: lean reads, a token in a cookie, the same events. It promises less: a standalone MongoDB with its default write concern, no outbox, and no confirmed publishes.
- Load comes from vegeta and, for gRPC, ghz. Purchases, which need the response of one call for the next, have a small driver of our own.

### Machine

${list(machine)}

The load is that of the last 1, 5 and 15 minutes; where it is above the number of cores, others used the machine, and latencies and requests per second are worse than they would be alone.

### Durability in this run

${list(durability)}

### Plan

${list(plan)}

## CPU per request

![CPU per request of each workload, by process](${CHART})

## Ratios

_Must_ is what the project promises, _goal_ what it aims at. A value in bold is above its must.

${ratioTable(ratios)}

## All figures

${workloadTable(rows)}

${failureLines(rows)}

## Memory

The most resident memory that a process had after any workload, in MiB.

${memoryTable(rows)}
`;

/** Writes the page and its picture. */
export async function writePage(result: Result): Promise<void> {
  await mkdir(join(docs, "images"), { recursive: true });
  await writeFile(join(docs, CHART), toChart(result.rows));
  const page = join(docs, "performance.md");
  const style = await resolveConfig(page);
  await writeFile(page, await format(toPage(result), { ...style, filepath: page }));
}
