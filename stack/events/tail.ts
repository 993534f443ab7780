import { styleText } from "node:util";
import { connect, type ChannelModel, type ConsumeMessage } from "amqplib";
import { fromProperties } from "#runtime/messaging/envelope.ts";
import { EVENTS } from "#runtime/messaging/topology.ts";
import { json as toJson, readPayload, safe, shortType } from "./payload.ts";
import { Trouble, unreachable } from "./broker.ts";

export interface TailOptions {
  /** Only these types, each the short or the full name, with `*` for anything; all if none. */
  readonly types: readonly string[];
  /** Only events in which one of these ids stands, or one that ends so; all if none. */
  readonly ids: readonly string[];
  readonly json: boolean;
}

/** So many wait for a slow reader; then the oldest are thrown away, and nobody else waits. */
const LONGEST_QUEUE = 10_000;

/** Whether `text` matches a pattern in which `*` stands for anything. */
export function matches(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[^\w]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join(".*")}$`, "is").test(text);
}

/** A message as a line; undefined where it is not asked for. */
export function line(
  { properties, content }: Pick<ConsumeMessage, "properties" | "content">,
  { types, ids, json }: TailOptions,
): string | undefined {
  const { id, type, subject, source, time } = fromProperties(properties);
  const short = shortType(type);
  const isAsked = (pattern: string) => matches(pattern, type) || matches(pattern, short);
  if (types.length > 0 && !types.some(isAsked)) return undefined;
  const payload = readPayload(type, content, subject);
  const all = [id, subject, ...payload.values];
  if (ids.length > 0 && !all.some((value) => ids.some((one) => value.endsWith(one))))
    return undefined;
  const told = Number.isNaN(time.getTime()) ? undefined : time.toISOString();
  if (json) return toJson({ id, time: told, type, subject, source, data: payload.json });
  // `styleText` asks the stream whether it can show colours.
  const clock = styleText("dim", (told ?? "").slice(11, 23).padEnd(12));
  const name = styleText("bold", short.padEnd(20));
  return [clock, name, safe(subject).padEnd(36), safe(source).padEnd(10), payload.summary].join(
    " ",
  );
}

/** Prints each event as it goes over the exchange, until the stop that it answers. */
export async function tail(
  amqp: string,
  options: TailOptions,
  out: { print: (line: string) => void; note: (line: string) => void },
): Promise<() => Promise<void>> {
  async function setup(model: ChannelModel): Promise<void> {
    const channel = await model.createChannel();
    let why: Error | undefined;
    channel.on("error", (error: Error) => (why = error));
    try {
      // Gone with its reader, and with no room for more than it shows: it can slow nobody.
      const { queue } = await channel.assertQueue("", {
        exclusive: true,
        autoDelete: true,
        arguments: { "x-max-length": LONGEST_QUEUE, "x-overflow": "drop-head" },
      });
      await channel.bindQueue(queue, EVENTS, "#");
      await channel.consume(queue, (message) => show(message), { noAck: true });
    } catch (error) {
      throw why ?? error;
    }
    out.note("Watching the events; Ctrl-C ends it.");
  }

  function show(message: ConsumeMessage | null): void {
    const text = message ? line(message, options) : undefined;
    if (text !== undefined) out.print(text);
  }

  const connection = await connect(amqp, {
    clientProperties: { connection_name: "events tail" },
    timeout: 10_000,
    recovery: { initialMaxRetries: 0, initialDelay: 100, maxDelay: 3_000, setup },
  }).catch((error: unknown) => {
    const isEmpty = /NOT.FOUND - no exchange/.test((error as Error).message);
    throw isEmpty
      ? new Trouble(`No exchange ${EVENTS} here: no service has ever run on this broker.`)
      : unreachable(amqp, error);
  });
  connection.on("error", () => undefined);
  connection.on("disconnect", () => out.note("The broker is gone; waiting for it."));
  return () => connection.close();
}
