import { styleText } from "node:util";
import { connect, type ChannelModel, type ConsumeMessage } from "amqplib";
import { fromProperties } from "#runtime/messaging/topology/envelope.ts";
import { EVENTS_EXCHANGE } from "#runtime/messaging/topology/topology.ts";
import { connectionError } from "./broker.ts";
import { CliError } from "./cli-error.ts";
import { readPayload } from "./payload.ts";
import { shortType } from "./registry.ts";
import { sanitize, toSafeJson } from "./terminal-text.ts";

export interface TailOptions {
  /** Shows only events of these types: short or full names, with `*` as a wildcard. */
  readonly types: readonly string[];
  /** Shows only events that contain one of these IDs, or an ID with this ending. */
  readonly ids: readonly string[];
  readonly json: boolean;
}

/** The queue of a slow reader drops the oldest events, so it does not slow the broker. */
const MAX_QUEUE_LENGTH = 10_000;
const CONNECT_TIMEOUT_MS = 10_000;

/** Whether `text` matches a pattern in which `*` stands for any text. */
export function matches(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[^\w]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join(".*")}$`, "is").test(text);
}

/** The line for a message, or undefined if the options leave it out. */
export function formatEvent(
  { properties, content }: Pick<ConsumeMessage, "properties" | "content">,
  { types, ids, json }: TailOptions,
): string | undefined {
  const { id, type, subject, source, time } = fromProperties(properties);
  const short = shortType(type);
  const isWanted = (pattern: string) => matches(pattern, type) || matches(pattern, short);
  if (types.length > 0 && !types.some(isWanted)) return undefined;
  const payload = readPayload(type, content, subject);
  const values = [id, subject, ...payload.values];
  const hasId = (ending: string) => values.some((value) => value.endsWith(ending));
  if (ids.length > 0 && !ids.some(hasId)) return undefined;
  const isoTime = Number.isNaN(time.getTime()) ? undefined : time.toISOString();
  if (json) return toSafeJson({ id, time: isoTime, type, subject, source, data: payload.json });
  // `styleText` adds colours only if the output supports them.
  return [
    styleText("dim", (isoTime ?? "").slice(11, 23).padEnd(12)),
    styleText("bold", short.padEnd(20)),
    sanitize(subject).padEnd(36),
    sanitize(source).padEnd(10),
    payload.summary,
  ].join(" ");
}

/** Prints each event that is published from now on, until the returned function is called. */
export async function tail(
  amqp: string,
  options: TailOptions,
  out: { print: (line: string) => void; note: (line: string) => void },
): Promise<() => Promise<void>> {
  async function setup(connection: ChannelModel): Promise<void> {
    await watch(connection, (message) => {
      const line = formatEvent(message, options);
      if (line !== undefined) out.print(line);
    });
    out.note("Watching events. Press Ctrl-C to stop.");
  }

  const connection = await connect(amqp, {
    clientProperties: { connection_name: "events tail" },
    timeout: CONNECT_TIMEOUT_MS,
    recovery: { initialMaxRetries: 0, initialDelay: 100, maxDelay: 3_000, setup },
  }).catch((error: unknown) => {
    const noExchange = /NOT.FOUND - no exchange/.test((error as Error).message);
    throw noExchange
      ? new CliError(
          `Exchange ${EVENTS_EXCHANGE} does not exist: no service has run on this broker yet.`,
        )
      : connectionError(amqp, error);
  });
  connection.on("error", () => undefined);
  connection.on("disconnect", () =>
    out.note("Lost the connection to the broker. Waiting to reconnect."),
  );
  return () => connection.close();
}

/** Consumes all events from an exclusive queue that the broker deletes with its consumer. */
async function watch(
  connection: ChannelModel,
  onEvent: (message: ConsumeMessage) => void,
): Promise<void> {
  const channel = await connection.createChannel();
  let channelError: Error | undefined;
  channel.on("error", (error: Error) => (channelError = error));
  try {
    const { queue } = await channel.assertQueue("", {
      exclusive: true,
      autoDelete: true,
      arguments: { "x-max-length": MAX_QUEUE_LENGTH, "x-overflow": "drop-head" },
    });
    await channel.bindQueue(queue, EVENTS_EXCHANGE, "#");
    await channel.consume(queue, (message) => message && onEvent(message), { noAck: true });
  } catch (error) {
    throw channelError ?? error;
  }
}
