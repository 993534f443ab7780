import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import { OrderCreatedSchema } from "@ticketing/proto/orders/v1/order_events";
import { onTestFinished } from "vitest";
import { toProperties } from "#runtime/messaging/topology/envelope.ts";
import { newId } from "#runtime/store/ids.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { type TestBroker } from "#runtime/testing/broker.ts";
import { EVENTS_EXCHANGE } from "#runtime/messaging/topology/topology.ts";
import { type Child, run } from "#stack/process";

/** The service as a process of its own, ready. */
export async function startExpiration(
  { url }: TestBroker,
  delay: string,
  more: Record<string, string> = {},
): Promise<Child> {
  const ports = { HOST: "127.0.0.1", RPC_PORT: "0", HTTP_PORT: "0" };
  const child = run("expiration", process.execPath, [join(import.meta.dirname, "main.ts")], {
    env: {
      ...ports,
      AMQP_URI: url,
      DELAY: delay,
      LOG_LEVEL: "info",
      SHUTDOWN_DRAIN_SECONDS: "0",
      ...more,
    },
  });
  onTestFinished(() => child.stop());
  await eventually(() => {
    if (!child.running) throw new Error(`it ended: ${child.tail()}`);
    return child.tail().includes('"ready"');
  }, "the service to be ready");
  return child;
}

/** Publishes an order whose hold lasts `ms`, and returns its id. */
export async function publishHold(broker: TestBroker, ms: number): Promise<string> {
  const id = newId();
  const expiresAt = timestampFromDate(new Date(Date.now() + ms));
  const { typeName: type } = OrderCreatedSchema;
  const created = create(OrderCreatedSchema, { order: { id, expiresAt } });
  const event = { id: newId(), type, source: "orders", subject: id, time: new Date() };
  const properties = { ...toProperties(event), mandatory: true };
  await broker.publish(
    EVENTS_EXCHANGE,
    type,
    Buffer.from(toBinary(OrderCreatedSchema, created)),
    properties,
  );
  return id;
}

/** Records how late each timer event arrives at orders, in milliseconds, by order id. */
export async function recordLateness(broker: TestBroker): Promise<Map<string, number>> {
  const late = new Map<string, number>();
  await broker.consume("orders", 100, (message, channel) => {
    const { orderId, expiresAt } = fromBinary(ExpirationCompleteSchema, message.content);
    const end = expiresAt ? timestampDate(expiresAt).getTime() : Number.NaN;
    late.set(orderId, Date.now() - end);
    channel.ack(message);
    return Promise.resolve();
  });
  return late;
}
