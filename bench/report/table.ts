import type { ByProcess } from "../measure/processes.ts";
import type { Ratio, Result, Row } from "./result.ts";

/** A number with two or more significant digits. */
export const formatNumber = (value: number): string =>
  value >= 100
    ? Math.round(value).toLocaleString("en")
    : value.toLocaleString("en", { maximumSignificantDigits: 2 });

/** Lines with aligned columns; all but the first are numbers, at the right. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, i) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** The largest shares first; what is below one percent is left out. */
export function sharesOf(values: ByProcess): string {
  const total = Object.values(values).reduce((all, each) => all + each, 0);
  return Object.entries(values)
    .filter(([, value]) => value > total / 100)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, value]) => `${name} ${formatNumber(value)}`)
    .join(", ");
}

const line = (row: Row): string[] => [
  row.title,
  formatNumber(row.perSecond.median),
  formatNumber(row.latencyMs.p50),
  formatNumber(row.latencyMs.p99),
  formatNumber(row.latencyMs.p999),
  formatNumber(row.cpu.median),
  `${formatNumber(row.cpu.min)}–${formatNumber(row.cpu.max)}`,
];

const HEAD = ["", "req/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs", "spread"];

/** The workloads, each with the processes that its CPU was used by, and its failures. */
function workloadLines(rows: readonly Row[]): string[] {
  const [head = "", ...lines] = columns([HEAD, ...rows.map(line)]);
  const detail = (row: Row): string[] => {
    const failures = Object.entries(row.failures).map(([error, count]) => `${count} × ${error}`);
    return [
      `    CPU ${sharesOf(row.cpuByProcess)}`,
      `    memory, MiB: ${sharesOf(row.memoryMb)}`,
      ...(failures.length > 0 ? [`    FAILED ${failures.join(", ")}`] : []),
    ];
  };
  return [head, ...lines.flatMap((text, i) => [text, ...detail(rows[i] as Row)])];
}

const ratioLine = ({ title, value, must, goal }: Ratio): string[] => [
  title,
  value.toFixed(2),
  must === undefined ? "" : `≤ ${must}`,
  goal === undefined ? "" : `≤ ${goal}`,
];

const pairs = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}: ${value}`)
    .join("; ");

/** The result as text for a terminal. */
export function toText({ machine, durability, plan, rest, rows, ratios }: Result): string {
  return [
    pairs(machine),
    `durability: ${pairs(durability)}`,
    `plan: ${pairs(plan)}`,
    `at rest, CPU µs per second (subtracted below): ${sharesOf(rest)}`,
    "",
    "Requests per second and CPU per request in a closed loop; latencies at a fixed arrival rate.",
    ...workloadLines(rows),
    "",
    ...columns([
      ["ratio (of CPU per request, unless it says otherwise)", "value", "must", "goal"],
      ...ratios.map(ratioLine),
    ]),
  ].join("\n");
}
