import type { ConfirmChannel, Options as Amqp } from "amqplib";
import {
  closeConnectionWith,
  openConnection,
  TIMEOUT_MS,
  type BrokerConnection,
} from "./connection.ts";
import { newId } from "../../store/ids.ts";
import type { Log } from "../../log.ts";

/** The broker has not confirmed a message: it is unavailable, rejected it, or has no queue for it. */
class PublishError extends Error {}

/** Whether publishing failed. The message itself is never at fault. */
export const isBrokerFault = (error: unknown): boolean => error instanceof PublishError;

/** The connection for outgoing messages. */
export interface PublisherConnection extends BrokerConnection {
  /**
   * Publishes as the service. Resolves when the broker has confirmed the message; rejects if it does
   * not, or cannot route it.
   */
  publish(exchange: string, key: string, body: Buffer, options: Amqp.Publish): Promise<void>;
}

interface Options {
  url: string;
  /** The service's name, which is also the name of its user at the broker. */
  name: string;
  /** An exchange that exists if the broker has the definitions of this version. */
  marker: string;
  log: Log;
  onChange: () => void;
}

export async function openPublisherConnection(options: Options): Promise<PublisherConnection> {
  const { url, name, marker, log, onChange } = options;
  const returned = new Set<string>();
  let channel: ConfirmChannel | undefined;

  const connection = await openConnection({
    url,
    name: `${name} publishing`,
    log,
    onChange,
    async prepare(model) {
      const opened = closeConnectionWith(model, await model.createConfirmChannel(), log);
      opened.on("return", ({ properties }) => returned.add(String(properties.messageId)));
      await opened.checkExchange(marker).catch((cause: unknown) => {
        const missing = "the broker does not hold what this version needs; import its definitions";
        throw new Error(`${missing} (there is no ${marker})`, { cause });
      });
      channel = opened;
    },
  });

  async function publish(
    exchange: string,
    key: string,
    body: Buffer,
    publishOptions: Amqp.Publish,
  ): Promise<void> {
    if (!channel || !connection.model || connection.blocked) throw new PublishError("no broker");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const messageId = String(publishOptions.messageId ?? newId());
    const sent = { persistent: true, ...publishOptions, messageId, userId: name };
    const confirmed = (err: unknown): void => {
      if (returned.delete(messageId)) reject(new PublishError(`no queue for ${key}`));
      else if (err) reject(new PublishError("refused by the broker", { cause: err }));
      else resolve();
    };
    try {
      channel.publish(exchange, key, body, sent, confirmed);
    } catch (cause) {
      // A channel that has just closed throws.
      throw new PublishError("no channel to the broker", { cause });
    }
    const late = () => reject(new PublishError("the broker did not confirm in time"));
    const timer = setTimeout(late, TIMEOUT_MS);
    await promise.finally(() => clearTimeout(timer));
  }

  return Object.assign(connection, { publish });
}
