import { rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "#stack/process.ts";
import type { System } from "#stack/system.ts";
import { startMarketplace } from "./marketplace.ts";

const lines: string[] = [];
let system: System;
let dir: string;
beforeAll(async () => {
  const log = (line: string): void => void lines.push(line);
  ({ dir, system } = await startMarketplace("restart", { supervised: true, log }));
});
afterAll(async () => {
  await system.stop();
  await rm(dir, { recursive: true, force: true });
});

const answers = async (path: string): Promise<boolean> => (await fetch(system.url + path)).ok;

it("a marketplace starts again what ends by itself, where it was, and says so", async () => {
  const { tickets } = system.instances;
  const { redis } = system.parts;
  for (const [one, path] of [
    [tickets[0], "/api/tickets"],
    [system.stripe.process, "/"],
    [system.edge, "/api/tickets"],
    [redis, "/"],
  ] as const) {
    if (!one) throw new Error("it is not ours");
    const { name, pid } = one.child;
    one.child.kill("SIGKILL");
    const line = `${name} ended (SIGKILL); it is started again in 0.5 s.`;
    await until(() => lines.includes(line), { what: line, timeoutMs: 60_000 });
    const back = `${name} is back.`;
    await until(() => lines.includes(back), { what: back, timeoutMs: 60_000 });
    expect(one.child.pid).not.toBe(pid);
    await until(() => answers(path), { what: `${path} to be served`, timeoutMs: 60_000 });
  }
});
