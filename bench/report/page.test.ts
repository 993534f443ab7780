import { expect, test } from "vitest";
import { toChart } from "./chart.ts";
import { toPage } from "./page.ts";
import type { Result, Row } from "./result.ts";

const row = (name: string, side: Row["side"], micros: number): Row => ({
  name,
  family: "list",
  title: `list <${name}>`,
  side,
  perSecond: { median: 1_234, min: 1_000, max: 1_300 },
  latencyMs: { p50: 1.5, p99: 20, p999: 33 },
  cpu: { median: micros, min: micros, max: micros },
  cpuByProcess: { tickets: micros },
  memoryMb: { tickets: 90 },
  failures: {},
});

const result: Result = {
  time: "2026-01-02T03:04:05Z",
  machine: { cores: "2" },
  durability: { "MongoDB writes": "majority" },
  plan: { rounds: 2 },
  rest: { tickets: 10_000 },
  rows: [row("ours", "ours", 240), row("bare", "floor", 120)],
  ratios: [{ name: "list/floor", title: "list / floor", value: 2, must: 3 }],
};

test("the page names the durability, and has each workload and each ratio with its limit", () => {
  const page = toPage(result);
  expect(page).toContain("- MongoDB writes: majority");
  expect(page).toContain(
    "| **list <ours>** | 1,234 | 1.5 | 20 | 33 | 240 | 240–240 | tickets 240 |",
  );
  expect(page).toContain("| list / floor | 2.00 | ≤ 3 |  |");
  expect(page).toContain("No request failed.");
});

test("a ratio above its must is in bold", () => {
  const ratios = [{ name: "list/floor", title: "list / floor", value: 4, must: 3 }];
  expect(toPage({ ...result, ratios })).toContain("| list / floor | **4.00** | ≤ 3 |  |");
});

test("the page says which requests failed", () => {
  const failed = { ...row("ours", "ours", 240), failures: { "HTTP 503": 4 } };
  expect(toPage({ ...result, rows: [failed] })).toContain("- list <ours>: 4 × `HTTP 503`");
});

test("the longest bar of a family fills the width, and its text is escaped", () => {
  const chart = toChart(result.rows);
  expect(chart).toContain('width="440.0"');
  expect(chart).toContain('width="220.0"');
  expect(chart).toContain("list &lt;ours&gt;");
});
