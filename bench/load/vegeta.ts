import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { run } from "#stack/process";
import { ensureGo } from "#stack/tools";
import { toOutcome, type Arrivals, type Attempt, type Outcome, type Target } from "./load.ts";

const VEGETA = "github.com/tsenart/vegeta/v12@v12.13.0";
const NO_TARGETS = "no targets to attack";
const TIMEOUT = "30s";

export interface VegetaOptions {
  readonly arrivals: Arrivals;
  /** How long requests are sent. Without it, each target is requested once. */
  readonly seconds?: number;
}

/** Sends requests with vegeta, which measures each from the moment at which it was due. */
export async function vegeta(targets: readonly Target[], options: VegetaOptions): Promise<Outcome> {
  return toOutcome(await attempts(targets, options));
}

/** As `vegeta`, with each single request. */
export async function attempts(
  targets: readonly Target[],
  options: VegetaOptions,
): Promise<Attempt[]> {
  const program = await ensureGo(VEGETA);
  const dir = await mkdtemp(join(tmpdir(), "ticketing-bench-"));
  try {
    const [file, results, csv] = ["targets", "results", "csv"].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(file, targets.map((target) => `${encodeTarget(target)}\n`).join(""));
    const args = ["-format", "json", "-targets", file, "-output", results, ...flags(options)];
    const child = run("vegeta", program, ["attack", ...args]);
    const exit = await child.exited;
    if (exit !== "code 0") throw new Error(`vegeta failed (${exit}): ${child.tail()}`);
    await promisify(execFile)(program, ["encode", "-to", "csv", "-output", csv, results]);
    return await readAttempts(csv);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function flags({ arrivals, seconds }: VegetaOptions): string[] {
  const rate =
    arrivals.loop === "open"
      ? ["-rate", String(arrivals.perSecond)]
      : [
          "-rate",
          "0",
          ...["-workers", "-max-workers"].flatMap((w) => [w, `${arrivals.connections}`]),
        ];
  const end = seconds === undefined ? ["-lazy"] : ["-duration", `${seconds}s`];
  // Bodies are read and not kept.
  return [...rate, ...end, "-max-body", "0", "-timeout", TIMEOUT, "-redirects", "-1"];
}

/** Vegeta would accept compressed responses, which the floors and the rival do not have. */
const UNCOMPRESSED = { "accept-encoding": "identity" };

const encodeTarget = ({ method, url, headers, body }: Target): string =>
  JSON.stringify({
    method,
    url,
    header: Object.fromEntries(
      Object.entries({ ...UNCOMPRESSED, ...headers }).map(([name, value]) => [name, [value]]),
    ),
    ...(body ? { body: Buffer.from(body).toString("base64") } : {}),
  });

/** The columns of vegeta's CSV that are read: start in ns, status, latency in ns, and the error. */
async function readAttempts(csv: string): Promise<Attempt[]> {
  const all: Attempt[] = [];
  for await (const line of createInterface({ input: createReadStream(csv) })) {
    const [start = "", status = "", latency = "", , , error = ""] = line.split(",", 6);
    // With -lazy, the end of the targets is an attempt of its own.
    if (error.includes(NO_TARGETS)) continue;
    const failure = /^2|^3/.test(status) ? undefined : status === "0" ? error : `HTTP ${status}`;
    all.push({ startMs: Number(start) / 1e6, latencyMs: Number(latency) / 1e6, failure });
  }
  return all;
}
