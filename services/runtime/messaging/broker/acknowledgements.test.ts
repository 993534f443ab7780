import type { ConsumeMessage } from "amqplib";
import { expect, it } from "vitest";
import { acknowledgements } from "./acknowledgements.ts";

/** The frames that are sent for messages with the delivery tags 1, 2, 3, … */
function recorded(count: number, channelClosed = new AbortController()) {
  const frames: string[] = [];
  const tag = ({ fields }: { fields: { deliveryTag: number } }): number => fields.deliveryTag;
  const channel = {
    ack: (message: ConsumeMessage, allUpTo?: boolean) =>
      void frames.push(`ack ${allUpTo ? "up to " : ""}${tag(message)}`),
    nack: (message: ConsumeMessage) => void frames.push(`nack ${tag(message)}`),
  };
  const acks = acknowledgements(channel, channelClosed.signal);
  const messages = Array.from(
    { length: count },
    (_, i) => ({ fields: { deliveryTag: i + 1 } }) as ConsumeMessage,
  );
  for (const message of messages) acks.received(message);
  const of = (deliveryTag: number) => messages[deliveryTag - 1] as ConsumeMessage;
  return { acks, frames, of, channelClosed };
}

it("messages that are done at the same time are acknowledged in one frame", async () => {
  const { acks, frames, of } = recorded(4);
  for (const tag of [2, 1, 3]) acks.ack(of(tag));
  expect(frames).toEqual([]);
  await new Promise(setImmediate);
  expect(frames).toEqual(["ack up to 3"]);
});

it("a message in progress is not acknowledged with later ones, and does not delay them", async () => {
  const { acks, frames, of } = recorded(5);
  for (const tag of [1, 3, 5]) acks.ack(of(tag));
  await new Promise(setImmediate);
  expect(frames).toEqual(["ack up to 1", "ack 3", "ack 5"]);
  for (const tag of [2, 4]) acks.ack(of(tag));
  await new Promise(setImmediate);
  expect(frames.slice(3)).toEqual(["ack up to 4"]);
});

it("a message that is returned is returned at once, and acknowledged with no other", async () => {
  const { acks, frames, of } = recorded(3);
  acks.ack(of(1));
  acks.nack(of(2));
  acks.ack(of(3));
  await new Promise(setImmediate);
  expect(frames).toEqual(["nack 2", "ack up to 3"]);
});

it("waiting acknowledgements are sent on request, and only once", async () => {
  const { acks, frames, of } = recorded(1);
  acks.ack(of(1));
  acks.send();
  await new Promise(setImmediate);
  expect(frames).toEqual(["ack up to 1"]);
});

it("nothing is acknowledged on a closed channel, whose messages the broker has taken back", async () => {
  const { acks, frames, of, channelClosed } = recorded(1);
  acks.ack(of(1));
  channelClosed.abort();
  await new Promise(setImmediate);
  expect(frames).toEqual([]);
});
