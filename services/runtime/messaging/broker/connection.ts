import { connect, type Channel, type ChannelModel } from "amqplib";
import type { Log } from "../../log.ts";

/** A connection to RabbitMQ that reconnects, and is set up again each time. */
export interface BrokerConnection {
  /** The current connection; undefined while there is none. */
  readonly model: ChannelModel | undefined;
  /** Whether the broker reads nothing from it because it is short of memory or disk space. */
  readonly blocked: boolean;
  close(): Promise<void>;
}

interface Options {
  url: string;
  /** The connection's name in RabbitMQ's management. */
  name: string;
  log: Log;
  /** Checks that the broker has what this version needs, before the connection counts as open. */
  prepare: (model: ChannelModel) => Promise<void>;
  /** Starts what runs on the connection. */
  start?: (model: ChannelModel) => Promise<void>;
  /** Called when the connection opens, closes, is blocked or is unblocked. */
  onChange: () => void;
}

/** After two of these without a sign of life, the connection counts as lost. */
const HEARTBEAT_SECONDS = 3;
export const TIMEOUT_MS = 10_000;
const RECOVERY = { initialDelay: 100, maxDelay: 3_000, factor: 2, jitter: 0.3 };

function withHeartbeat(url: string): string {
  const address = new URL(url);
  address.searchParams.set("heartbeat", String(HEARTBEAT_SECONDS));
  return address.href;
}

/** Connects, and waits until the broker is available. */
export async function openConnection(options: Options): Promise<BrokerConnection> {
  const { url, name, log, prepare, start, onChange } = options;
  let model: ChannelModel | undefined;
  let blocked = false;

  async function setup(opened: ChannelModel): Promise<void> {
    // Until the setup has ended, amqplib does not listen to this connection: one that is lost meanwhile
    // would be an uncaught error. What the setup waits for fails too, and it is tried again.
    opened.on("error", () => undefined);
    await prepare(opened);
    model = opened;
    await start?.(opened).catch((error: unknown) => {
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
  connection.on("connect-failed", (err) =>
    log.warn({ err: err.message }, "the broker is not available yet"),
  );
  connection.on("connect", () => change(false));
  connection.on("disconnect", () => {
    model = undefined;
    change(false);
  });
  // A broker short of memory or disk space reads nothing. Messages would pile up in this process.
  connection.on("blocked", (reason) => {
    log.warn({ reason }, "the broker accepts no messages");
    change(true);
  });
  connection.on("unblocked", () => {
    log.info("the broker accepts messages again");
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

const closedByUs = new WeakSet<Channel>();

/** Closes the connection when the channel closes unexpectedly: then everything is set up again. */
export function closeConnectionWith<C extends Channel>(
  model: ChannelModel,
  channel: C,
  log: Log,
): C {
  channel.on("error", (err) => log.error({ err }, "broker channel closed"));
  channel.on("handler-error", (err: unknown) => log.error({ err }, "broker listener failed"));
  channel.on("close", () => {
    if (!closedByUs.has(channel)) void model.close().catch(() => undefined);
  });
  return channel;
}

/** Resolves after everything that was sent on the channel; closing the connection guarantees less. */
export async function closeChannel(channel: Channel): Promise<void> {
  closedByUs.add(channel);
  await channel.close().catch(() => undefined);
}
