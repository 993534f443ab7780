import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";

/** A type of event and what a service does when it receives one. */
export interface EventHandler {
  type: string;
  decode(body: Uint8Array): unknown;
  handle(event: unknown): Promise<unknown>;
  /** The requester repeats its request: a message that fails is logged, not retried and not kept. */
  isRequestedAgain?: true;
}

/** Handles the events of one type. */
export const on = <D extends DescMessage>(
  schema: D,
  handle: (event: MessageShape<D>) => Promise<unknown>,
): EventHandler => ({
  type: schema.typeName,
  decode: (body) => fromBinary(schema, body),
  handle: handle as (event: unknown) => Promise<unknown>,
});

/** The part of an event that its publisher always sets, although its type in Protobuf is optional. */
export function required<T>(part: T | undefined, name: string): T {
  if (part === undefined) throw new Error(`an event without its ${name}`);
  return part;
}
