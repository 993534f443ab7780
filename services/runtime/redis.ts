import { createClient, type RedisClientType } from "redis";
import type { Log } from "./log.ts";
import { within } from "./within.ts";

const LOOK_EVERY_MS = 1_000;
/** Without an answer for so long it counts as gone. */
const SILENT_MS = 3_000;

/**
 * Connects to Redis, which holds limits and snapshots only: losing it signs nobody in or out, so a
 * service starts and goes on without it, and the client comes back by itself.
 */
export async function connectRedis(url: string, log: Log): Promise<RedisClientType> {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: {
      connectTimeout: 2_000,
      reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 3_000),
    },
  }) as RedisClientType;
  client.on("error", (err: Error) => log.warn({ err: err.message }, "redis gone"));
  client.on("ready", () => log.info("redis connected"));
  const connecting = client.connect().catch(() => undefined);
  dropSilent(client, log);
  await Promise.race([connecting, new Promise((resolve) => setTimeout(resolve, 2_000))]);
  return client;
}

/**
 * Connects anew where nothing is answered, as after a firewall has forgotten the connection: the client
 * itself would wait for as long as the system sends again, which is a quarter of an hour.
 */
function dropSilent(client: RedisClientType, log: Log): void {
  let heardAt = performance.now();
  let isRenewing = false;

  async function look(): Promise<void> {
    const late = () => new Error("redis did not answer");
    await within(LOOK_EVERY_MS, client.ping(), late).then(
      () => (heardAt = performance.now()),
      () => undefined,
    );
    if (!client.isOpen || performance.now() - heardAt < SILENT_MS) return;
    heardAt = performance.now();
    log.warn("redis says nothing; connecting anew");
    isRenewing = true;
    client.destroy();
    isRenewing = false;
    client.connect().catch(() => undefined);
  }

  const timer = setInterval(() => void look(), LOOK_EVERY_MS).unref();
  client.on("end", () => {
    if (!isRenewing) clearInterval(timer);
  });
}
