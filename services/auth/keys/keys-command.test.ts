import { execFile } from "node:child_process";
import { join } from "node:path";
import { createConnection } from "mongoose";
import { expect, it, onTestFinished } from "vitest";
import { testDatabaseUri } from "#runtime/testing/database.ts";

const command = join(import.meta.dirname, "keys-command.ts");

/** Runs the command like an operator does, on its own database. */
async function keysCommand() {
  const uri = testDatabaseUri();
  onTestFinished(async () => {
    const db = await createConnection(uri).asPromise();
    await db.dropDatabase();
    await db.close();
  });
  const env = { ...process.env, MONGODB_URI: uri, SEALING_KEY: "s".repeat(32) };
  return (...args: string[]) =>
    new Promise<{ code: number; out: string[]; err: string }>((resolve) => {
      execFile(process.execPath, [command, ...args], { env }, (error, stdout, err) => {
        resolve({ code: Number(error?.code ?? 0), out: stdout.trim().split("\n"), err });
      });
    });
}

it("rotates, withdraws and lists the keys", { timeout: 60_000 }, async () => {
  const keys = await keysCommand();
  const { code, out: rotated } = await keys("rotate");
  expect(code).toBe(0);
  const [first = ""] = rotated.map((line) => line.split(/\s+/)[0]);
  // The second key is promoted for when every verifier has it, and a third one exists.
  expect(rotated.map((line) => line.split(/\s+/)[1])).toEqual(["signs", "next", "next"]);

  const { out: left } = await keys("withdraw", first);
  expect(left.find((line) => line.startsWith(first))).toMatch(/withdrawn/);
  const { out: listed } = await keys("list");
  expect(listed).toEqual(left);
  expect(listed.map((line) => line.split(/\s+/)[1]).sort()).toEqual(["next", "signs", "withdrawn"]);

  expect(await keys("withdraw", "none")).toMatchObject({ code: 1, err: "There is no key none.\n" });
  expect(await keys("spin")).toMatchObject({ code: 2 });
});
