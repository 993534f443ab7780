import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "redis";
import { startPart, type Part, type PartOptions } from "./part.ts";
import { preferredPort, run, until } from "#stack/process";
import { ensureTools } from "#stack/tools";

export interface Redis extends Part {
  readonly url: string;
}

/** Starts Redis or Valkey with a password. Every acknowledged write survives a kill. */
export async function startRedis(options: PartOptions & { port?: number }): Promise<Redis> {
  const { dir, secret, env, log = console.log } = options;
  const { redis } = await ensureTools(["redis"], log);
  const port = await preferredPort(options.port, "Redis", log);
  const password = secret("redis");
  const url = `redis://:${password}@127.0.0.1:${port}`;
  const config = join(dir, "redis.conf");

  mkdirSync(dir, { recursive: true, mode: 0o700 });
  // Every user of the machine can see arguments, so the password is in a file.
  writeFileSync(config, configuration(dir, port, password), { mode: 0o600 });

  const logFile = join(dir, "redis.log");
  const part = await startPart(
    () => run("redis", redis, [config], { logFile, ...(env && { env }) }),
    (child) => until(() => ping(url), { what: "Redis to answer", child }),
  );
  return Object.assign(part, { url });
}

function configuration(dir: string, port: number, password: string): string {
  return [
    "bind 127.0.0.1",
    `port ${port}`,
    `dir "${dir}"`,
    `requirepass ${password}`,
    // Writes are appended to the log before the response, and synced to disk every second.
    "appendonly yes",
    "appendfsync everysec",
    `save ""`,
    "set-proc-title no", // A new title overwrites the environment that identifies the process.
    "",
  ].join("\n");
}

async function ping(url: string): Promise<boolean> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.ping()) === "PONG"; // It returns an error while it loads its data.
  } finally {
    client.destroy();
  }
}
