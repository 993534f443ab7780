import { basename, join } from "node:path";
import { execute, install, installed, type Log } from "./install.ts";
import { find, isProgram } from "./path.ts";

/**
 * Finds a command of a Go module (`host/path@version`), in this order: the program that an environment
 * variable names (STRIPE_MOCK for stripe-mock), an earlier build, or a recent one on PATH. Otherwise
 * builds it in `.tools/<name>-<version>`, which needs Go and its module proxy.
 */
export async function ensureGo(module: string, log: Log = console.log): Promise<string> {
  const [path = "", version = ""] = module.split("@v");
  // Go names a program after its folder, and not after a major version such as /v12.
  const program = basename(path.replace(/\/v\d+$/, ""));
  const variable = program.toUpperCase().replaceAll("-", "_");
  const named = process.env[variable];
  if (named !== undefined && named !== "") {
    if (isProgram(named)) return named;
    throw new Error(`${variable}=${named} is not a program.`);
  }
  const folder = `${program}-${version}`;
  const home = installed(folder);
  if (home !== undefined) return join(home, program);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const found = await find([program], /(\d+)\.(\d+)\.\d+/, [major, minor]);
  return found ?? join(await install(folder, (temp) => build(module, temp), log), program);
}

async function build(module: string, folder: string): Promise<void> {
  await needGo();
  await execute("go", ["install", module], {
    env: { GOBIN: folder, GOTOOLCHAIN: "local" },
    timeoutMs: 600_000, // The build takes 70 s on an idle machine.
  });
}

/** The folder with the files of a Go module (`host/path@version`), which Go caches. */
export async function goModule(module: string): Promise<string> {
  await needGo();
  const answer = await execute("go", ["mod", "download", "-json", module], { cwd: "/" });
  return (JSON.parse(answer) as { Dir: string }).Dir;
}

async function needGo(): Promise<void> {
  try {
    await execute("go", ["version"]);
  } catch (cause) {
    throw new Error("Go is needed (go.dev/dl)", { cause });
  }
}
