import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "#stack/process";
import { ensureGo } from "#stack/tools";
import { toOutcome, type Arrivals, type Outcome } from "./load.ts";

const GHZ = "github.com/bojand/ghz/cmd/ghz@v0.93.0";
/** The open loop starts this many calls at once at most, so that a stalled server ends the run. */
const MOST_IN_FLIGHT = 1_000;

/** A unary gRPC call that is sent again and again. */
export interface GrpcCall {
  /** The address, such as 127.0.0.1:9000. */
  readonly address: string;
  /** The path of the descriptor set with the method. */
  readonly descriptors: string;
  /** The full name, such as ticketing.tickets.v1.TicketService/GetTicket. */
  readonly method: string;
  readonly request: object;
}

/** How long calls are sent, or how many. */
type Length = { readonly seconds: number } | { readonly requests: number };

interface Report {
  details: { timestamp: string; latency: number; status: string }[];
}

/** Sends gRPC calls with ghz, which checks the status in the trailers, as vegeta cannot. */
export async function ghz(call: GrpcCall, arrivals: Arrivals, length: Length): Promise<Outcome> {
  const program = await ensureGo(GHZ);
  const dir = await mkdtemp(join(tmpdir(), "ticketing-bench-"));
  try {
    const [data, output] = [join(dir, "request.json"), join(dir, "report.json")];
    await writeFile(data, JSON.stringify(call.request));
    const child = run("ghz", program, [
      ...["--insecure", "--protoset", call.descriptors, "--call", call.method],
      ...["--data-file", data, "--format", "json", "--output", output],
      ...lengthFlags(length),
      ...arrivalFlags(arrivals),
      call.address,
    ]);
    const exit = await child.exited;
    if (exit !== "code 0") throw new Error(`ghz failed (${exit}): ${child.tail()}`);
    const { details } = JSON.parse(await readFile(output, "utf8")) as Report;
    return toOutcome(
      details.map(({ timestamp, latency, status }) => ({
        startMs: Date.parse(timestamp),
        latencyMs: latency / 1e6,
        failure: status === "OK" ? undefined : status,
      })),
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const lengthFlags = (length: Length): string[] =>
  "seconds" in length
    ? ["--duration", `${length.seconds}s`, "--duration-stop", "wait"]
    : ["--total", `${length.requests}`];

const arrivalFlags = (arrivals: Arrivals): string[] =>
  arrivals.loop === "open"
    ? ["--async", "--rps", `${arrivals.perSecond}`, ...at(MOST_IN_FLIGHT, 4)]
    : at(arrivals.connections, arrivals.connections / 4);

const at = (concurrency: number, connections: number): string[] => [
  ...["--concurrency", `${concurrency}`, "--connections", `${Math.max(1, connections)}`],
];
