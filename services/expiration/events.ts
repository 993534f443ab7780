import { create, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  ExpirationCompleteSchema,
  type ExpirationComplete,
} from "@ticketing/proto/expiration/v1/expiration_events";
import { OrderCreatedSchema } from "@ticketing/proto/orders/v1/order_events";
import type { Broker } from "#runtime/broker.ts";
import { toProperties } from "#runtime/envelope.ts";
import { on, type EventHandler } from "#runtime/events.ts";
import { newId } from "#runtime/ids.ts";
import type { Log } from "#runtime/log.ts";
import { EVENTS } from "#runtime/topology.ts";
import { leaveWaiting, nextWait } from "#runtime/waiting.ts";

interface Deps {
  broker: Broker;
  log: Log;
  now: () => number;
}

/** The queue that a waiting nudge comes out into: this service's own. */
const QUEUE = "expiration";

/**
 * Tells when a hold has run out (R50). It stores nothing: the broker does the waiting, in the longest
 * queue that is not longer than what is left, again each time the message comes out. So a restart
 * loses no timer, a hold may have any length, and a nudge comes at most a second late, never early.
 */
export function expirationEvents({ broker, log, now }: Deps): EventHandler[] {
  async function nudge(complete: ExpirationComplete): Promise<void> {
    if (!complete.expiresAt) throw new Error(`order ${complete.orderId} without its end`);
    const leftMs = timestampDate(complete.expiresAt).getTime() - now();
    const { typeName: type } = ExpirationCompleteSchema;
    const content = Buffer.from(toBinary(ExpirationCompleteSchema, complete));
    const envelope = {
      id: newId(),
      type,
      source: QUEUE,
      subject: complete.orderId,
      time: new Date(),
    };
    const properties = toProperties(envelope);
    if (leftMs > 0) return leaveWaiting(broker, nextWait(leftMs), QUEUE, { content, properties });
    await broker.publish(EVENTS, type, content, { ...properties, mandatory: true });
    log.info(
      { event: "published", type, id: complete.orderId },
      `published ${type} ${complete.orderId}`,
    );
  }

  return [
    on(OrderCreatedSchema, async ({ order }) => {
      if (!order?.expiresAt) throw new Error("an event without its order");
      const { id: orderId, expiresAt } = order;
      await nudge(create(ExpirationCompleteSchema, { orderId, expiresAt }));
    }),
    // Not heard from the exchange of events: it is what this service left waiting.
    on(ExpirationCompleteSchema, nudge),
  ];
}
