import { create, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  ExpirationCompleteSchema,
  type ExpirationComplete,
} from "@ticketing/proto/expiration/v1/expiration_events";
import type { Order } from "@ticketing/proto/orders/v1/order";
import { OrderCreatedSchema, OrderExtendedSchema } from "@ticketing/proto/orders/v1/order_events";
import type { Broker } from "#runtime/messaging/broker/broker.ts";
import type { DelayedDelivery } from "#runtime/messaging/delay/delay.ts";
import { toProperties } from "#runtime/messaging/topology/envelope.ts";
import { on, required, type EventHandler } from "#runtime/messaging/event-handler.ts";
import { newId } from "#runtime/store/ids.ts";
import type { Log } from "#runtime/log.ts";
import { EVENTS_EXCHANGE } from "#runtime/messaging/topology/topology.ts";

interface Deps {
  broker: Broker;
  delay: DelayedDelivery;
  log: Log;
  now: () => number;
}

/**
 * Publishes ExpirationComplete when a hold has run out (R50). It stores nothing: the timer event waits in
 * the broker, and one that comes back early is delayed again. So a restart loses no timer, a hold may
 * have any length, and no timer event is published early.
 */
export function expirationEvents({ broker, delay, log, now }: Deps): EventHandler[] {
  async function publishWhenDue(complete: ExpirationComplete): Promise<void> {
    const { orderId, expiresAt } = complete;
    const end = timestampDate(required(expiresAt, "expiry"));
    const { typeName: type } = ExpirationCompleteSchema;
    const content = Buffer.from(toBinary(ExpirationCompleteSchema, complete));
    const envelope = { id: newId(), type, source: "expiration", subject: orderId };
    const properties = toProperties({ ...envelope, time: new Date(now()) });
    if (end.getTime() > now()) return delay.schedule({ content, properties }, end);
    await broker.publish(EVENTS_EXCHANGE, type, content, { ...properties, mandatory: true });
    log.info({ event: "published", type, id: orderId }, `published ${type} ${orderId}`);
  }

  async function startTimer({ order }: { order?: Order | undefined }): Promise<void> {
    const { id: orderId, expiresAt } = required(order, "order");
    await publishWhenDue(
      create(ExpirationCompleteSchema, { orderId, expiresAt: required(expiresAt, "expiry") }),
    );
  }

  return [
    on(OrderCreatedSchema, startTimer),
    // This starts a second timer. The first one ends before the new expiry, and orders ignores it.
    on(OrderExtendedSchema, startTimer),
    // Not published by another service: these are this service's own delayed messages.
    on(ExpirationCompleteSchema, publishWhenDue),
  ];
}
