import { accessSync, constants, globSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { execute } from "./install.ts";

type Version = readonly [major: number, minor: number];

/** The first program on PATH that has one of the names and at least the version `least`. */
export async function find(
  names: readonly string[],
  version: RegExp,
  least: Version,
): Promise<string | undefined> {
  for (const path of names.flatMap((name) => which(name) ?? [])) {
    const said = await execute(path, ["--version"]).catch(() => "");
    if (isRecent(version.exec(said), least)) return path;
  }
  return undefined;
}

/**
 * RabbitMQ's scripts on this machine. Debian's /usr/sbin/rabbitmq-server requires its own user and
 * folders, so this finds the original scripts. The name of their folder contains the version.
 */
export function rabbitOnPath(least: Version): { sbin: string; erlang: string } | undefined {
  const erlang = erlangOnPath();
  const script = which("rabbitmq-server");
  const scripts = globSync("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server");
  if (script !== undefined) scripts.push(realpathSync(script));
  const path = scripts.find((path) =>
    isRecent(/rabbitmq(?:_server-|\/)(\d+)\.(\d+)/.exec(path), least),
  );
  return path === undefined || erlang === undefined ? undefined : { sbin: dirname(path), erlang };
}

export function erlangOnPath(): string | undefined {
  const erl = which("erl");
  return erl === undefined ? undefined : dirname(erl);
}

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function which(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isRecent(found: RegExpExecArray | null, [major, minor]: Version): boolean {
  const [, a = 0, b = 0] = (found ?? []).map(Number);
  return a > major || (a === major && b >= minor);
}
