import { connect, type Channel, type ChannelModel } from "amqplib";
import type { Log } from "../log.ts";

/** One connection to RabbitMQ that comes back by itself, and is set up anew each time. */
export interface BrokerConnection {
  /** The connection of now; undefined while there is none. */
  readonly model: ChannelModel | undefined;
  /** Whether the broker reads nothing more from it, being short of memory or disk. */
  readonly blocked: boolean;
  close(): Promise<void>;
}

interface Options {
  url: string;
  /** What the broker's management calls it. */
  name: string;
  log: Log;
  /** Finds out whether the broker holds what is needed, before the connection counts as one. */
  prepare: (model: ChannelModel) => Promise<void>;
  /** Begins what runs on it; before that, others may already have begun theirs. */
  begin?: (model: ChannelModel) => Promise<void>;
  /** It is there, or gone, or blocked, or not any more. */
  onChange: () => void;
}

/** Two of these without a sign, and a broker that is frozen or cut off counts as gone. */
const HEARTBEAT_SECONDS = 3;
export const TIMEOUT_MS = 10_000;
const RECOVERY = { initialDelay: 100, maxDelay: 3_000, factor: 2, jitter: 0.3 };

function withHeartbeat(url: string): string {
  const address = new URL(url);
  address.searchParams.set("heartbeat", String(HEARTBEAT_SECONDS));
  return address.href;
}

/** Connects, and waits for a broker that is not there yet. */
export async function openConnection(options: Options): Promise<BrokerConnection> {
  const { url, name, log, prepare, begin, onChange } = options;
  let model: ChannelModel | undefined;
  let blocked = false;

  async function setup(opened: ChannelModel): Promise<void> {
    await prepare(opened);
    model = opened;
    await begin?.(opened).catch((error: unknown) => {
      model = undefined;
      throw error;
    });
  }

  const connection = await connect(withHeartbeat(url), {
    noDelay: true,
    timeout: TIMEOUT_MS,
    clientProperties: { connection_name: name },
    recovery: { ...RECOVERY, setup, waitForConnect: false },
  });
  const change = (isBlocked: boolean): void => {
    blocked = isBlocked;
    onChange();
  };
  connection.on("handler-error", (err: unknown) => log.error({ err }, "broker listener failed"));
  connection.on("error", (err) => log.debug({ err: err.message }, "broker connection error"));
  connection.on("connect-failed", (err) => log.warn({ err: err.message }, "no broker yet"));
  connection.on("connect", () => change(false));
  connection.on("disconnect", () => {
    model = undefined;
    change(false);
  });
  // Short of memory or disk it takes nothing; what is sent all the same would pile up here.
  connection.on("blocked", (reason) => {
    log.warn({ reason }, "broker takes no messages");
    change(true);
  });
  connection.on("unblocked", () => {
    log.info("broker takes messages again");
    change(false);
  });
  await connection.waitForConnect();
  return {
    get model() {
      return model;
    },
    get blocked() {
      return blocked;
    },
    close: () => connection.close(),
  };
}

const ended = new WeakSet<Channel>();

/** A channel that we did not end takes the connection with it: then everything is set up anew. */
export function closeConnectionWith<C extends Channel>(
  model: ChannelModel,
  channel: C,
  log: Log,
): C {
  channel.on("error", (err) => log.error({ err }, "broker channel closed"));
  channel.on("handler-error", (err: unknown) => log.error({ err }, "broker listener failed"));
  channel.on("close", () => {
    if (!ended.has(channel)) void model.close().catch(() => undefined);
  });
  return channel;
}

/** Its answer comes after all that was sent on the channel; a connection is closed with less care. */
export async function closeChannel(channel: Channel): Promise<void> {
  ended.add(channel);
  await channel.close().catch(() => undefined);
}
