import { createClient, ErrorReply, type RedisClientType } from "redis";
import type { Log } from "../log.ts";
import { withDeadline } from "../deadline.ts";

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
      // Ends an attempt whose first words are not answered; once connected we ask more often than this.
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
 * Connects anew where nothing is answered, as after a firewall has forgotten the connection: the client
 * itself would wait for as long as the system sends again, which is a quarter of an hour. A refusal is
 * an answer too. While the client connects it is left to do so: a second attempt beside its own would
 * go on for ever.
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
