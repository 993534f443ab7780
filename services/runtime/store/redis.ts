import { createClient, ErrorReply, type RedisClientType } from "redis";
import type { Log } from "../log.ts";
import { withDeadline } from "../deadline.ts";

const LOOK_EVERY_MS = 1_000;
/** Without a response for this long, the connection counts as lost. */
const SILENT_MS = 3_000;

/**
 * Connects to Redis, which holds only limits and snapshots: losing it signs no user in or out. A service
 * therefore starts and runs without it, and the client reconnects automatically.
 */
export async function connectRedis(url: string, log: Log): Promise<RedisClientType> {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: {
      connectTimeout: 2_000,
      // Ends a connection attempt without a response; on an open connection pings are more frequent.
      socketTimeout: SILENT_MS,
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
 * Reconnects when there is no response, for example after a firewall has dropped the connection. The client
 * alone would wait for the operating system's retransmissions, about a quarter of an hour. An error is a
 * response too. While the client reconnects, no second attempt is started: that one would never end.
 */
function dropSilent(client: RedisClientType, log: Log): void {
  let heardAt = performance.now();
  let isRenewing = false;
  const heard = (): void => void (heardAt = performance.now());

  async function look(): Promise<void> {
    if (!client.isReady) return;
    const late = () => new Error("redis did not answer");
    await withDeadline(LOOK_EVERY_MS, client.ping(), late).then(heard, (error: unknown) => {
      if (error instanceof ErrorReply) heard();
    });
    if (!client.isReady || performance.now() - heardAt < SILENT_MS) return;
    log.warn("redis says nothing; connecting anew");
    isRenewing = true;
    client.destroy();
    isRenewing = false;
    client.connect().catch(() => undefined);
  }

  const timer = setInterval(() => void look(), LOOK_EVERY_MS).unref();
  client.on("ready", heard);
  client.on("end", () => {
    if (!isRenewing) clearInterval(timer);
  });
}
