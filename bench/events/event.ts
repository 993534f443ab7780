import { create, toBinary } from "@bufbuild/protobuf";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import { toProperties } from "#runtime/messaging/topology/envelope.ts";
import { newId } from "#runtime/store/ids.ts";

/** The service whose queues and permissions the benchmark uses: the broker accepts only its own events. */
export const service = "expiration";
/** Its only field that matters here is a text. */
export const EVENT = ExpirationCompleteSchema;
export const subscriptions = { [service]: [EVENT] };

/** About the size of an order's event. */
export const VALUE = "x".repeat(250);

/** An event as it is stored in a queue. */
export const event = (): { content: Buffer; properties: ReturnType<typeof toProperties> } => ({
  content: Buffer.from(toBinary(EVENT, create(EVENT, { orderId: VALUE }))),
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
