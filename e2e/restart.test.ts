import { readFile, rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { until } from "#stack/process";
import type { System } from "#stack/launcher";
import { startMarketplace } from "./testing/marketplace.ts";
import { buy, listTicket, pay, signUp } from "./testing/person.ts";

const lines: string[] = [];
let system: System;
let dir: string;
/** The environment of `npm start`; `.env.example` has a row for each. */
const given = {
  LOG_LEVEL: "silent",
  SEALING_KEY: "a key of our own, of more than 32 characters",
  REFRESH_KEY: "another one of our own, just as long as that",
  SHUTDOWN_DRAIN_SECONDS: "0.1",
  CALL_TIMEOUT_SECONDS: "6",
  TOKEN_ISSUER: "somebody",
};
/** Rows that have no value. */
const empty = { STRIPE_KEY: "", STRIPE_WEBHOOK_SECRET: "", SIGNING_KEYS: "", TRUSTED_NETWORKS: "" };
beforeAll(async () => {
  for (const [name, value] of Object.entries({ ...given, ...empty })) vi.stubEnv(name, value);
  const log = (line: string): void => void lines.push(line);
  ({ dir, system } = await startMarketplace("restart", { supervised: true, log }));
});
afterAll(async () => {
  await system.stop();
  await rm(dir, { recursive: true, force: true });
});

it("services get the variables of the launcher's environment, and a variable without a value counts as unset", async () => {
  const { auth, tickets } = system.instances;
  const environment = async (pid: number): Promise<string[]> =>
    (await readFile(`/proc/${pid}/environ`, "utf8")).split("\0");
  for (const { child } of [...auth, ...tickets]) {
    const wanted = Object.entries(given).map(([name, value]) => `${name}=${value}`);
    expect(await environment(child.pid)).toEqual(expect.arrayContaining(wanted));
  }
  // The local Stripe would reject an empty key, and the edge an empty network.
  expect(system.stripe.key).toMatch(/^sk_test_/);
  const seller = await signUp(system.url, "seller");
  const buyer = await signUp(system.url, "buyer");
  await pay(buyer, await buy(buyer, await listTicket(seller)));
});

const responds = async (path: string): Promise<boolean> => (await fetch(system.url + path)).ok;

it("a process that exits is restarted at the same address, and the launcher logs it", async () => {
  const { tickets } = system.instances;
  const { redis } = system.parts;
  for (const [one, path] of [
    [tickets[0], "/api/tickets"],
    [system.stripe.process, "/"],
    [system.edge, "/api/tickets"],
    [redis, "/"],
  ] as const) {
    if (!one) throw new Error("the launcher did not start it");
    const { name, pid } = one.child;
    one.child.kill("SIGKILL");
    const line = `${name} ended (SIGKILL). Restarting it in 0.5 s.`;
    await until(() => lines.includes(line), { what: line, timeoutMs: 60_000 });
    const back = `${name} is running again.`;
    await until(() => lines.includes(back), { what: back, timeoutMs: 60_000 });
    expect(one.child.pid).not.toBe(pid);
    await until(() => responds(path), { what: `${path} to be served`, timeoutMs: 60_000 });
  }
});
