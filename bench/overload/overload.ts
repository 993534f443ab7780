import { groupBy, percentile } from "../figures.ts";
import { toOutcome, type Attempt, type Target } from "../load/load.ts";
import { attempts } from "../load/vegeta.ts";
import { cpuMicros, difference } from "../measure/processes.ts";
import { machineLine } from "../report/machine.ts";
import { columns, formatNumber } from "../report/table.ts";
import { RAISED_LIMITS, startMeasured } from "../setup/marketplace.ts";
import { signUpPeople } from "../setup/people.ts";
import { orders } from "../workloads/writes.ts";

// `npm run bench -- overload`: five times as many new orders as the marketplace can take, for a minute.
// What it accepts must stay near its capacity and fast, and the rest must be refused at once.

const TIMES = 5;
const CONNECTIONS = 64;
const WARM_UP_ORDERS = 1_000;
/** Enough for the consumers of events to be as busy as the calls, so that the rate can last. */
const CAPACITY_ORDERS = 4_000;
const SECONDS = { full: 60, quick: 15 };
/** How the services refuse what is too much, by the Connect protocol. */
const SHED = "HTTP 429";

/** Measures the capacity, the overload and the capacity again, and returns the lines of a table. */
export async function measureOverload(isQuick: boolean, log: (line: string) => void) {
  const seconds = isQuick ? SECONDS.quick : SECONDS.full;
  log("starting the marketplace");
  const marketplace = await startMeasured(log, RAISED_LIMITS);
  try {
    const people = await signUpPeople(marketplace);
    // Once the tickets are listed, all earlier events have reached their consumers too.
    const take = async (count: number): Promise<Target[]> => {
      log(`listing ${count.toLocaleString("en")} tickets`);
      return orders(marketplace, people, count);
    };
    const saturate = async (count: number): Promise<Attempt[]> => {
      const targets = await take(count);
      log("asking for as much as can be done");
      return attempts(targets, { arrivals: { loop: "closed", connections: CONNECTIONS } });
    };

    await saturate(WARM_UP_ORDERS);
    const before = await saturate(CAPACITY_ORDERS);

    const perSecond = Math.round(TIMES * rateOf(before));
    const many = await take(perSecond * seconds);
    log(`${perSecond} orders a second for ${seconds} s`);
    const idle = cpuMicros(marketplace.processes);
    const during = await attempts(many, { arrivals: { loop: "open", perSecond }, seconds });
    const used = difference(cpuMicros(marketplace.processes), idle);
    const end = performance.now();
    await marketplace.settled();
    const settledSeconds = (performance.now() - end) / 1000;

    const after = await saturate(CAPACITY_ORDERS);

    const table = columns([
      ["", "orders/s", "accepted/s", "p50 ms", "p99 ms", "refused", "p99 ms", "failed"],
      ["before", "", ...figures(before)],
      [`${TIMES} times as many`, String(perSecond), ...figures(during)],
      ["afterwards", "", ...figures(after)],
    ]);
    return [
      machineLine(),
      ...table,
      `goodput: ${Math.round((100 * rateOf(during)) / rateOf(before))} % of the capacity`,
      `processor: ${shares(used, toOutcome(during).seconds)}`,
      `all events had reached their consumers ${formatNumber(settledSeconds)} s after the last response`,
    ];
  } finally {
    await marketplace.close();
  }
}

/** The share of one core that each process used, the most first. */
const shares = (micros: Readonly<Record<string, number>>, seconds: number): string =>
  Object.entries(micros)
    .map(([name, each]) => [name, Math.round((100 * each) / (seconds * 1e6))] as const)
    .filter(([, percent]) => percent > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([name, percent]) => `${name} ${percent} %`)
    .join(", ");

const isShed = ({ failure }: Attempt): boolean => failure === SHED;

/** The accepted orders per second. */
function rateOf(all: readonly Attempt[]): number {
  const { latenciesMs, seconds } = toOutcome(all);
  return latenciesMs.length / seconds;
}

function figures(all: readonly Attempt[]): string[] {
  const { latenciesMs } = toOutcome(all);
  const shed = all.filter(isShed).map(({ latencyMs }) => latencyMs);
  const failed = all.filter((each) => each.failure !== undefined && !isShed(each));
  const byKind = groupBy(
    failed,
    ({ failure = "" }) => /^HTTP \d+/.exec(failure)?.[0] ?? "no response",
  );
  return [
    formatNumber(rateOf(all)),
    formatNumber(percentile(latenciesMs, 0.5)),
    formatNumber(percentile(latenciesMs, 0.99)),
    String(shed.length),
    shed.length === 0 ? "" : formatNumber(percentile(shed, 0.99)),
    [...byKind].map(([kind, { length }]) => `${length} ${kind}`).join(", ") || "0",
  ];
}
