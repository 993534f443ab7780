import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Parts, startParts } from "./parts.ts";
import { ensureTools } from "#stack/tools";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "addresses-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

async function startAt(mongo: string): Promise<Parts> {
  vi.stubEnv("MONGODB_URI", mongo);
  vi.stubEnv("AMQP_URI", "amqp://u:p@broker/v");
  vi.stubEnv("REDIS_URI", "redis://cache");
  const parts = await startParts({ dir, services: ["orders"] });
  await parts.stop();
  return parts;
}

test("does not start a part whose address is in the environment", async () => {
  const parts = await startAt("mongodb://store");
  expect([parts.mongo, parts.rabbit, parts.redis]).toEqual([undefined, undefined, undefined]);
  expect(parts.amqpUrl("orders")).toBe("amqp://u:p@broker/v");
  expect(parts.redisUrl).toBe("redis://cache");
});

test.each([
  ["mongodb://store", "mongodb://store/orders"],
  ["mongodb://a:1,b:2/?replicaSet=x", "mongodb://a:1,b:2/orders?replicaSet=x"],
  [
    "mongodb+srv://u:p@store/?w=majority",
    "mongodb+srv://u:p@store/orders?w=majority&authSource=admin",
  ],
  ["mongodb://u:p@store/users", "mongodb://u:p@store/orders?authSource=users"],
  ["mongodb://u:p@store/x?authSource=y", "mongodb://u:p@store/orders?authSource=y"],
])("turns %s into the URL of a service's database", async (given, expected) => {
  expect((await startAt(given)).mongoUrl("orders")).toBe(expected);
});

test("uses the program that the environment names, and refuses a path that is not a program", async () => {
  vi.stubEnv("MONGOD", process.execPath);
  expect(await ensureTools(["mongod"])).toEqual({ mongod: process.execPath });
  vi.stubEnv("MONGOD", "/nowhere/mongod");
  await expect(ensureTools(["mongod"])).rejects.toThrow("MONGOD=/nowhere/mongod is not a program.");
});
