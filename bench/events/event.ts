import { create, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { toProperties } from "#runtime/messaging/topology/envelope.ts";
import { newId } from "#runtime/store/ids.ts";

/** The service whose queues and permissions the benchmark uses. */
export const service = "bench";
export const EVENT = StringValueSchema;
export const subscriptions = { [service]: [EVENT] };

/** About the size of an order's event. */
export const VALUE = "x".repeat(250);

/** An event as it is stored in a queue. */
export const event = (): { content: Buffer; properties: ReturnType<typeof toProperties> } => ({
  content: Buffer.from(toBinary(EVENT, create(EVENT, { value: VALUE }))),
  properties: {
    ...toProperties({
      id: newId(),
      type: EVENT.typeName,
      source: service,
      subject: newId(),
      time: new Date(),
    }),
    userId: service,
  },
});
