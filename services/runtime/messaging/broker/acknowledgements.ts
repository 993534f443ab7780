import type { Channel, ConsumeMessage } from "amqplib";

/** The acknowledgements of one consumer. */
export interface Acknowledgements {
  /** Records a message that was delivered. To be called in the order of delivery. */
  received(message: ConsumeMessage): void;
  /** Acknowledges a message soon, together with the others of this moment. */
  ack(message: ConsumeMessage): void;
  /** Returns a message to its queue. */
  nack(message: ConsumeMessage): void;
  /** Sends the acknowledgements that wait. */
  send(): void;
}

/**
 * Acknowledges many messages in one frame: a quorum queue replicates each acknowledgement. A message that
 * takes longer delays no acknowledgement of a later one, because it would use up the prefetch count.
 */
export function acknowledgements(
  channel: Pick<Channel, "ack" | "nack">,
  channelClosed: AbortSignal,
): Acknowledgements {
  /** The delivered messages in their order. */
  const delivered = new Map<ConsumeMessage, "in progress" | "done">();
  let timer: NodeJS.Immediate | undefined;

  /** The last message before which all are done. */
  function takeFirstDone(): ConsumeMessage | undefined {
    let last: ConsumeMessage | undefined;
    for (const [message, state] of delivered) {
      if (state !== "done") break;
      last = message;
      delivered.delete(message);
    }
    return last;
  }

  function send(): void {
    clearImmediate(timer);
    timer = undefined;
    if (channelClosed.aborted) return;
    const last = takeFirstDone();
    if (last) channel.ack(last, true);
    for (const [message, state] of delivered) {
      if (state !== "done") continue;
      delivered.delete(message);
      channel.ack(message);
    }
  }

  return {
    received: (message) => void delivered.set(message, "in progress"),
    ack(message) {
      delivered.set(message, "done");
      timer ??= setImmediate(send);
    },
    nack(message) {
      delivered.delete(message);
      channel.nack(message);
    },
    send,
  };
}
