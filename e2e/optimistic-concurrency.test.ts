import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { until } from "#stack/process";
import { violationsIn } from "./faults/checker.ts";
import { startFaultsFixture, type FaultsFixture } from "./faults/fixture.ts";
import { readStoredState } from "./faults/stored-state.ts";
import { THOROUGH } from "./testing/thoroughness.ts";

const SEED = Number(process.env["SEED"] ?? 1);
/** How long work may still be in progress: without optimistic concurrency, some never ends. */
const SETTLE_MS = THOROUGH ? 20_000 : 6_000;

let fixture: FaultsFixture | undefined;
afterAll(() => fixture?.stop());

/** Violations that no later event corrects. */
const MONEY_VIOLATION =
  /was paid|was taken|still reserved|paid twice|held by|could still be paid|the ledger/;
const IN_PROGRESS = /messages in|unpublished events|is CREATED|is AWAITING_PAYMENT/;

/** The violations about money once nothing is in progress, or after `SETTLE_MS`. */
async function moneyViolations({ system }: FaultsFixture): Promise<string[]> {
  let found: string[] = [];
  const isIdle = async () => {
    found = violationsIn(await readStoredState(system));
    return !found.some((violation) => IN_PROGRESS.test(violation));
  };
  await until(isIdle, { what: "the end of all work", timeoutMs: SETTLE_MS, everyMs: 500 }).catch(
    () => undefined,
  );
  return found.filter((violation) => MONEY_VIOLATION.test(violation));
}

it("without optimistic concurrency, buyers are charged for nothing or money is lost", async () => {
  const withoutOptimisticConcurrency = pathToFileURL(
    join(import.meta.dirname, "faults/no-optimistic-concurrency.ts"),
  ).href;
  fixture = await startFaultsFixture({
    seed: SEED,
    buyers: 40,
    // At the end of the hold, timers, sweeps and payments all change the same order.
    bankAnswerMs: [0, 400],
    env: {
      ORDER_HOLD_SECONDS: "6.5",
      ORDER_SWEEP_SECONDS: "0.2",
      MAX_OPEN_ORDERS: "1000",
      NODE_OPTIONS: `--import ${withoutOptimisticConcurrency}`,
    },
  });
  // Which changes collide is random, but sooner or later some do.
  let violations: string[] = [];
  for (let round = 0; round < 10 && violations.length === 0; round += 1) {
    await fixture.makePurchases(60);
    violations = await moneyViolations(fixture);
  }
  console.log(`${violations.length} violations about money: ${violations[0]}`);
  expect(violations).not.toEqual([]);
}, 400_000);
