import { create, fromBinary, toBinary, type DescMessage } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  CancelReason,
  OrderSchema,
  OrderStatus,
  type Order,
} from "@ticketing/proto/orders/v1/order";
import * as orderEvents from "@ticketing/proto/orders/v1/order_events";
import {
  ChargeCreatedSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { subscriptions } from "#catalogue";
import { consume } from "#runtime/events.ts";
import { newId } from "#runtime/ids.ts";
import { relay } from "#runtime/outbox.ts";
import { EVENTS } from "#runtime/topology.ts";
import { eventually, silent, testBroker } from "#runtime/testing.ts";
import { paymentEvents } from "./events.ts";
import { world } from "./testing.ts";

/** An event of an order: its type, and the order after it. */
type Told = [DescMessage, Order];

const ends: Record<string, (order: Order) => Told[]> = {
  completed: (order) => [
    [orderEvents.OrderCreatedSchema, order],
    [orderEvents.OrderAwaitingPaymentSchema, next(order, 2n, OrderStatus.AWAITING_PAYMENT)],
    [orderEvents.OrderCompletedSchema, next(order, 3n, OrderStatus.COMPLETED)],
    [orderEvents.OrderCancelledSchema, next(order, 4n, OrderStatus.CANCELLED)],
  ],
  cancelled: (order) => [
    [orderEvents.OrderCreatedSchema, order],
    [orderEvents.OrderCancelledSchema, next(order, 2n, OrderStatus.CANCELLED)],
  ],
  expired: (order) => [
    [orderEvents.OrderCreatedSchema, order],
    [
      orderEvents.OrderExpiredSchema,
      { ...next(order, 2n, OrderStatus.CANCELLED), cancelReason: CancelReason.EXPIRED },
    ],
  ],
};

const next = (order: Order, version: bigint, status: OrderStatus): Order => ({
  ...order,
  version,
  status,
  attemptId: status === OrderStatus.CREATED ? "" : "an-attempt",
});

const wordOf = (status: OrderStatus): string =>
  Object.entries(OrderStatus).find(([, number]) => number === status)?.[0] ?? "";

describe("the copy of an order", () => {
  it("holds what its event says", async () => {
    const { buy, load } = await world();
    const order = await buy({ expiresAt: timestampFromMs(1_900_000_000_000) });
    expect((await load(order.id)).order).toEqual({
      userId: "ann",
      sellerId: "sam",
      ticketId: order.ticketId,
      title: "A concert",
      price: 2550,
      currency: "USD",
      expiresAt: new Date(1_900_000_000_000),
      status: "CREATED",
      expired: false,
      attemptId: "",
      version: 1,
    });
  });

  it("is the newest that was heard of, in whatever order and however often events come", async () => {
    const { anOrder, tell, load } = await world();
    const story = fc.constantFrom(...Object.keys(ends)).chain((end) =>
      fc.record({
        end: fc.constant(end),
        order: fc.array(fc.nat(ends[end]!(anOrder()).length - 1), { minLength: 1, maxLength: 10 }),
        atOnce: fc.boolean(),
      }),
    );
    await fc.assert(
      fc.asyncProperty(story, async ({ end, order: which, atOnce }) => {
        const order = anOrder();
        const told = ends[end]!(order);
        const heard = which.map((i) => told[i]!);
        if (atOnce) await Promise.all(heard.map(([schema, state]) => tell(schema, state)));
        else for (const [schema, state] of heard) await tell(schema, state);
        const newest = told[Math.max(...which)]![1];
        expect((await load(order.id)).order).toMatchObject({
          version: Number(newest.version),
          status: wordOf(newest.status),
          expired: newest.cancelReason === CancelReason.EXPIRED,
          attemptId: newest.attemptId,
        });
      }),
      { numRuns: 40 },
    );
  });

  it("is not taken from an event that lacks what a payment needs", async () => {
    const { anOrder, tell, payments } = await world();
    const whole = anOrder();
    for (const lacking of [
      create(OrderSchema, { ...whole, price: undefined as never }),
      create(OrderSchema, { ...whole, expiresAt: undefined as never }),
      create(OrderSchema, { ...whole, status: OrderStatus.UNSPECIFIED }),
      create(OrderSchema, { ...whole, status: 99 as OrderStatus }),
      undefined,
    ]) {
      await expect(tell(orderEvents.OrderCreatedSchema, lacking as Order)).rejects.toThrow();
    }
    expect(await payments.countDocuments()).toBe(0);
  });
});

describe("over the real broker", () => {
  it("an order is paid: authorized, accepted, charged", async () => {
    const all = await world();
    const broker = await testBroker("payments", subscriptions);
    const running = relay(all.payments, {
      service: "payments",
      broker,
      subscriptions,
      log: silent,
    });
    const stop = await consume({
      service: "payments",
      broker,
      handlers: paymentEvents(all.deps),
      log: silent,
      isFault: () => false,
      recovered: () => Promise.resolve(),
    });
    const publish = (schema: DescMessage, order: Order) =>
      broker.publish(
        EVENTS,
        schema.typeName,
        Buffer.from(toBinary(schema, create(schema, { order } as never))),
        {
          messageId: newId(),
          type: schema.typeName,
          contentType: "application/protobuf",
          mandatory: true,
        },
      );
    const heard = async (what: string) => {
      const message = await eventually(() => broker.raw.get("orders", { noAck: true }), what);
      const { type } = message.properties as { type: string };
      const schema = [PaymentAuthorizedSchema, ChargeCreatedSchema].find(
        ({ typeName }) => typeName === type,
      );
      expect(message.properties.headers?.["cloudEvents:subject"]).toBe(order.id);
      return { type, payment: fromBinary(schema!, message.content).payment };
    };

    const order = all.anOrder();
    await publish(orderEvents.OrderCreatedSchema, order);
    await eventually(() => all.payments.exists({ _id: order.id }), "payments to hear of the order");
    const { payment } = await all.pay(order);
    const authorized = await heard("the authorization");
    expect(authorized.type).toBe(PaymentAuthorizedSchema.typeName);
    expect(authorized.payment).toEqual(payment);

    const accepted = {
      ...next(order, 2n, OrderStatus.AWAITING_PAYMENT),
      attemptId: payment!.attemptId,
    };
    await publish(orderEvents.OrderAwaitingPaymentSchema, accepted);
    const charged = await heard("the charge");
    expect(charged.type).toBe(ChargeCreatedSchema.typeName);
    expect(charged.payment).toMatchObject({ orderId: order.id, attemptId: payment?.attemptId });
    expect((await all.books(order)).taken).toHaveLength(1);
    await stop();
    await running.close();
  });
});
