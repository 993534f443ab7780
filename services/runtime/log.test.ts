import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";

const runtime = import.meta.dirname;

/** The messages that a process has logged when it has ended. */
async function logged(code: string): Promise<string[]> {
  const dir = await mkdtemp(join(tmpdir(), "ticketing-log-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const script = join(dir, "main.mts");
  await writeFile(
    script,
    `import { createLog } from ${JSON.stringify(join(runtime, "log.ts"))};
    import { exitOnUncaughtError } from ${JSON.stringify(join(runtime, "lifecycle/lifecycle.ts"))};
    const log = createLog("test", "info");
    ${code}`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [script]).catch(
    (error: unknown) => error as { stdout: string },
  );
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
}

it.each([
  ["runs out of work", `log.info("last words");`],
  ["exits", `log.info("last words"); process.exit(0);`],
])("a process that %s loses no line", async (_, code) => {
  expect(await logged(code)).toEqual(["last words"]);
});

it("an uncaught error loses no line, and is the last one", async () => {
  const code = `exitOnUncaughtError(log); log.info("before"); setImmediate(() => { throw new Error("oops"); });`;
  expect(await logged(code)).toEqual(["before", "an uncaught error ends this process"]);
});

it("many lines arrive in their order", async () => {
  const code = `for (let i = 0; i < 5_000; i += 1) log.info(String(i));`;
  expect(await logged(code)).toEqual(Array.from({ length: 5_000 }, (_, i) => `${i}`));
});

it("a line of a running process is written soon", async () => {
  const code = `log.info("soon"); setTimeout(() => process.kill(process.pid, "SIGKILL"), 1_500);`;
  expect(await logged(code)).toEqual(["soon"]);
});
