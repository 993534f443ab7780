import { createClient, type RedisClientType } from "redis";
import type { Log } from "./log.ts";

/**
 * Connects to Redis, which holds limits and snapshots only: losing it signs nobody in or out, so a
 * service starts and goes on without it, and the client comes back by itself.
 */
export async function connectRedis(url: string, log: Log): Promise<RedisClientType> {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    // One that hangs, or was cut off without a word, counts as gone, and is connected to anew.
    pingInterval: 1_000,
    socket: {
      connectTimeout: 2_000,
      socketTimeout: 4_000,
      reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 3_000),
    },
  }) as RedisClientType;
  client.on("error", (err: Error) => log.warn({ err: err.message }, "redis gone"));
  client.on("ready", () => log.info("redis connected"));
  await Promise.race([
    client.connect().catch(() => undefined),
    new Promise((resolve) => setTimeout(resolve, 2_000)),
  ]);
  return client;
}
