import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { until } from "#stack/process";
import { readStoredState, violationsIn } from "./faults/checker.ts";
import { startFaultsFixture, type FaultsFixture } from "./faults/fixture.ts";

const SEED = Number(process.env["SEED"] ?? 1);

let world: FaultsFixture | undefined;
afterAll(() => world?.stop());

/** What no later event puts right. */
const aboutMoney =
  /was paid|was taken|still reserved|paid twice|held by|could still be paid|the ledger/;
const underWay = /messages in|unpublished events|is CREATED|is AWAITING_PAYMENT/;

/** What is wrong with the money once nothing is under way; not everything comes to rest then. */
async function wrongWithMoney({ system }: FaultsFixture): Promise<string[]> {
  let found: string[] = [];
  const isQuiet = async () => {
    found = violationsIn(await readStoredState(system));
    return !found.some((wrong) => underWay.test(wrong));
  };
  await until(isQuiet, { what: "quiet", timeoutMs: 20_000, everyMs: 500 }).catch(() => undefined);
  return found.filter((wrong) => aboutMoney.test(wrong));
}

it("takes money for nothing, or forgets it, where the compare-and-set is taken out", async () => {
  const withoutOptimisticConcurrency = pathToFileURL(
    join(import.meta.dirname, "faults/no-optimistic-concurrency.ts"),
  ).href;
  world = await startFaultsFixture({
    seed: SEED,
    buyers: 40,
    // The moment in which holds end: timers, sweeps and payments all come to the same order.
    answeredMs: [0, 400],
    env: {
      ORDER_HOLD_SECONDS: "6.5",
      ORDER_SWEEP_SECONDS: "0.2",
      MAX_OPEN_ORDERS: "1000",
      NODE_OPTIONS: `--import ${withoutOptimisticConcurrency}`,
    },
  });
  // Which of them meet is luck; that some do, sooner or later, is not.
  let wrong: string[] = [];
  for (let round = 0; round < 10 && wrong.length === 0; round += 1) {
    await world.buyThings(60);
    wrong = await wrongWithMoney(world);
  }
  console.log(`${wrong.length} things are wrong with the money: ${wrong[0]}`);
  expect(wrong).not.toEqual([]);
}, 400_000);
