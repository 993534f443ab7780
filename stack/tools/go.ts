import { basename, join } from "node:path";
import { call, install, installed, type Log } from "./install.ts";

/**
 * Builds a command of a Go module (`host/path@version`) into `.tools/<name>-<version>`, and gives
 * the program. The first time it needs Go, and its module proxy.
 */
export async function ensureGo(module: string, log: Log = console.log): Promise<string> {
  const [program = "", version] = basename(module).split("@v");
  const folder = `${program}-${version}`;
  if (installed(folder) === undefined) await needGo();
  const build = async (temp: string) => {
    await call("go", ["install", module], {
      env: { GOBIN: temp, GOTOOLCHAIN: "local" },
      timeoutMs: 120_000,
    });
  };
  return join(await install(folder, build, log), program);
}

async function needGo(): Promise<void> {
  try {
    await call("go", ["version"]);
  } catch (cause) {
    throw new Error("Go is needed (go.dev/dl)", { cause });
  }
}
