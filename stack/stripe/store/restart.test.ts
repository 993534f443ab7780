import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it, onTestFinished } from "vitest";
import { folder, sdk, secretOf, intentParams } from "../testing.ts";

const STRIPE_KEY = secretOf("sk_test");

async function run(dir: string) {
  const main = join(import.meta.dirname, "../main.ts");
  const env = { ...process.env, STRIPE_PORT: "0", STRIPE_DIR: dir, STRIPE_KEY };
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return { child, stripe: sdk(STRIPE_KEY, Number(line.split(":").at(-1))) };
}

async function end(child: ChildProcess, signal: NodeJS.Signals) {
  const exit = once(child, "exit");
  child.kill(signal);
  return exit;
}

it("loses nothing that it acknowledged before it is killed", async () => {
  const dir = folder();
  const idempotencyKey = "k1";
  const params = { ...intentParams, payment_method: "pm_card_visa", confirm: true };
  const first = await run(dir);
  const intent = await first.stripe.paymentIntents.create(params, { idempotencyKey });
  await end(first.child, "SIGKILL");
  // A kill during a write leaves an incomplete line.
  appendFileSync(join(dir, "journal.jsonl"), '{"put":[{"id":"pi_ha');

  const second = await run(dir);
  expect(await second.stripe.paymentIntents.retrieve(intent.id)).toMatchObject({ ...intent });
  const again = await second.stripe.paymentIntents.create(params, { idempotencyKey });
  expect(again.id).toBe(intent.id);
  await second.stripe.paymentIntents.capture(intent.id);
  await end(second.child, "SIGKILL");

  const third = await run(dir);
  expect((await third.stripe.paymentIntents.retrieve(intent.id)).status).toBe("succeeded");
  expect((await third.stripe.paymentIntents.list()).data).toHaveLength(1);
});

it("exits by itself on SIGTERM", async () => {
  const { child, stripe } = await run(folder());
  await stripe.paymentIntents.create(intentParams);
  expect(await end(child, "SIGTERM")).toEqual([0, null]);
});
