import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { search } from "../../services/tickets/listings/search.ts";
import { createLog } from "#runtime/log.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { startParts } from "#stack/parts";
import { percentile } from "../figures.ts";
import { machineLine } from "../report/machine.ts";
import { columns, formatNumber } from "../report/table.ts";
import { fillMarket, ticketModel } from "./market.ts";
import { kinds, type Kind } from "./searches.ts";

// `npm run bench -- growth`: how long lists and searches take as the market grows, one request at a time.

const SIZES = [1_000, 10_000, 100_000, 1_000_000];
const WARM_UP = 5;
const REPEATS = 30;

type Tickets = ReturnType<typeof ticketModel>;

/** The milliseconds of each request of a kind. */
async function durationsOf(tickets: Tickets, { requests }: Kind): Promise<number[]> {
  const durations: number[] = [];
  for (let round = 0; round < WARM_UP + REPEATS; round += 1) {
    for (const request of requests) {
      const begin = performance.now();
      await search({ tickets, now: Date.now }, request, undefined);
      if (round >= WARM_UP) durations.push(performance.now() - begin);
    }
  }
  return durations;
}

const cell = (durations: readonly number[]): string =>
  [0.5, 0.99].map((part) => formatNumber(percentile(durations, part))).join(" / ");

/** Measures each size, and returns the lines of a table: the median and p99 in milliseconds. */
export async function measureGrowth(isQuick: boolean, log: (line: string) => void) {
  const sizes = isQuick ? SIZES.slice(0, -1) : SIZES;
  const dir = await mkdtemp(join(tmpdir(), "ticketing-growth-"));
  const parts = await startParts({ dir, services: ["tickets"], log: () => undefined });
  const db = await connectDatabase(parts.mongoUrl("tickets"), createLog("growth", "silent"), {
    callTimeoutMs: 60_000,
  });
  try {
    const tickets = ticketModel(db);
    const rows: string[][] = kinds.map(({ title }) => [title]);
    const all: string[] = ["all of them"];
    for (const size of sizes) {
      log(`listing ${size.toLocaleString("en")} tickets`);
      await fillMarket(tickets, size);
      log("searching");
      const durations: number[] = [];
      for (const [i, kind] of kinds.entries()) {
        const found = await durationsOf(tickets, kind);
        rows[i]?.push(cell(found));
        durations.push(...found);
      }
      all.push(cell(durations));
    }
    const head = ["p50 / p99, ms", ...sizes.map((size) => size.toLocaleString("en"))];
    return [machineLine(), ...columns([head, ...rows, all])];
  } finally {
    await db.close();
    await parts.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
