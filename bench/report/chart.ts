import type { Row } from "./result.ts";

// A picture of the CPU per request: one bar for each workload, stacked by process. Bars are compared
// within a family, so each family has its own scale.

const WIDTH = 860;
const LABEL = 330;
const BAR = WIDTH - LABEL - 90;
const LINE = 20;
const GAP = 14;
const SMALL_SHARE = 0.02;

/** One color for each process; a process that is not named is gray. */
const colors: Readonly<Record<string, string>> = {
  edge: "#4c78a8",
  "floor-edge": "#4c78a8",
  tickets: "#f58518",
  orders: "#e45756",
  payments: "#b279a2",
  auth: "#ffbf79",
  web: "#eeca3b",
  expiration: "#ff9da6",
  mongod: "#54a24b",
  "rival-mongod": "#54a24b",
  "events-mongod": "#54a24b",
  rabbitmq: "#88d27a",
  "events-rabbitmq": "#88d27a",
  rival: "#9d755d",
  bench: "#f58518",
};
const OTHER = "#9aa0a6";

const legend: readonly (readonly [string, string])[] = [
  ["Envoy", "edge"],
  ["tickets", "tickets"],
  ["orders", "orders"],
  ["payments", "payments"],
  ["auth", "auth"],
  ["storefront", "web"],
  ["MongoDB", "mongod"],
  ["RabbitMQ", "rabbitmq"],
  ["rival", "rival"],
  ["bare parts, others", "other"],
];

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const rect = (x: number, y: number, width: number, color: string): string =>
  `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${LINE - 6}" fill="${color}"/>`;

const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escape(content)}</text>`;

/** The bar of one workload. */
function bar(row: Row, y: number, perMicro: number): string {
  const shares = Object.entries(row.cpuByProcess).toSorted(([, a], [, b]) => b - a);
  let x = LABEL;
  const parts = shares.flatMap(([name, micros]) => {
    if (micros < row.cpu.median * SMALL_SHARE) return [];
    const part = rect(x, y, micros * perMicro, colors[name] ?? OTHER);
    x += micros * perMicro;
    return [part];
  });
  const total = `${Math.round(row.cpu.median).toLocaleString("en")} µs`;
  return [
    text(LABEL - 8, y + 11, row.title, 'text-anchor="end"'),
    ...parts,
    text(x + 6, y + 11, total, 'fill="#57606a"'),
  ].join("\n");
}

function drawLegend(y: number): string {
  return legend
    .map(([label, process], i) => {
      const x = 20 + (i % 5) * 165;
      const line = y + Math.floor(i / 5) * LINE;
      return rect(x, line, 14, colors[process] ?? OTHER) + text(x + 20, line + 11, label);
    })
    .join("\n");
}

/** An SVG of the CPU per request of all workloads, by family. */
export function toChart(rows: readonly Row[]): string {
  const parts: string[] = [drawLegend(12)];
  let y = 12 + 2 * LINE + GAP;
  for (const family of Map.groupBy(rows, (row) => row.family).values()) {
    const perMicro = BAR / Math.max(...family.map(({ cpu }) => cpu.median));
    for (const row of family) {
      parts.push(bar(row, y, perMicro));
      y += LINE;
    }
    y += GAP;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}"`,
    'font-family="system-ui, sans-serif" font-size="12" fill="#1f2328">',
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}
