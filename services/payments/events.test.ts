import { onSaved } from "#runtime/store/aggregate.ts";
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
import { subscriptions } from "#marketplace/catalogue.ts";
import { consume } from "#runtime/messaging/consumer.ts";
import { newId } from "#runtime/store/ids.ts";
import { relay } from "#runtime/messaging/relay.ts";
import { EVENTS_EXCHANGE } from "#runtime/messaging/topology/topology.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { testBroker } from "#runtime/testing/broker.ts";
import {
  anyDeliveryOrder,
  expectCounterexample,
  expectSameFinalState,
  deliverAll,
} from "#runtime/testing/event-orders.ts";
import { cases } from "#runtime/testing/thoroughness.ts";
import { orderReplica, paymentEvents } from "./events.ts";
import { paymentsFixture, type PaymentsFixture } from "./testing/payments-fixture.ts";

/** An event of an order: its type, and the order after it. */
type Delivery = [DescMessage, Order];

const ends: Record<string, (order: Order) => Delivery[]> = {
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

const next = (
  order: Order,
  version: bigint,
  status: OrderStatus,
  attemptId = "an-attempt",
): Order => ({ ...order, version, status, attemptId });

const wordOf = (status: OrderStatus): string =>
  Object.entries(OrderStatus).find(([, number]) => number === status)?.[0] ?? "";

/** A change of events before they are delivered. */
type DeliveryChange = (events: readonly Delivery[]) => readonly Delivery[];
const asTold: DeliveryChange = (events) => events;
/** Makes every event look newer than the last, so that the version comparison has no effect. */
const asNews: DeliveryChange = (events) =>
  events.map(([schema, order], i) => [schema, { ...order, version: BigInt(i + 1) }]);

/** Two rival orders, and the order in which their events are delivered. */
const rivals = fc
  .record({
    first: fc.constantFrom("cancelled", "expired"),
    second: fc.constantFrom(...Object.keys(ends)),
  })
  .chain(({ first, second }) => {
    const none = create(OrderSchema);
    const count = ends[first]!(none).length + ends[second]!(none).length;
    return fc.record({
      first: fc.constant(first),
      second: fc.constant(second),
      order: anyDeliveryOrder(count),
    });
  });

/** Delivers orders alternately in events and snapshots, as after a restart with an empty database. */
function eventsAndSnapshots({
  payments,
  deliver,
}: PaymentsFixture): (delivery: Delivery) => Promise<unknown> {
  const { applyIfNewer } = orderReplica({ payments, log: silentLog });
  let count = 0;
  return ([schema, order]) =>
    (count += 1) % 2 === 0 ? applyIfNewer(order) : deliver(schema, order);
}

/** The newest delivered states of two orders of one ticket are stored, each in its own payment. */
const newestIsKept = (fixture: PaymentsFixture, level: DeliveryChange, oneOrAll = fc.boolean()) =>
  fc.asyncProperty(rivals, oneOrAll, async ({ first, second, order: which }, atOnce) => {
    const { anOrder, load } = fixture;
    const ticketId = newId();
    const deliveries = [
      ...ends[first]!(anOrder({ ticketId })),
      ...ends[second]!(anOrder({ ticketId })),
    ];
    const recordedEvents = which.map((i) => deliveries[i]!);
    await deliverAll(level(recordedEvents), eventsAndSnapshots(fixture), atOnce);
    for (const id of new Set(deliveries.map(([, { id }]) => id))) {
      const newest = deliveries.findLast(([, state]) => state.id === id)![1];
      expect((await load(id)).order).toMatchObject({
        ticketId,
        status: wordOf(newest.status),
        expired: newest.cancelReason === CancelReason.EXPIRED,
        attemptId: newest.attemptId,
      });
    }
  });

describe("the order replica", () => {
  it("stores what the event contains", async () => {
    const { buy, load } = await paymentsFixture();
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

  it("keeps the newest state, whatever the order and the number of deliveries", async () => {
    await fc.assert(newestIsKept(await paymentsFixture(), asTold), { numRuns: cases(40) });
  });

  it("does not without the version comparison", async () => {
    await expectCounterexample(newestIsKept(await paymentsFixture(), asNews, fc.constant(false)));
  });

  it("ends the same though every event arrives three times and shuffled (P10)", async () => {
    const { anOrder, deliver, payments, settler } = await paymentsFixture();
    await settler.close(); // It is not needed here, and would poll each payment.
    const lives = Object.values(ends);
    const events = Array.from({ length: 33 }, (_, i) => lives[i % lives.length]!(anOrder())).flat();
    const count = await expectSameFinalState({
      collections: [payments.collection],
      events,
      hear: ([schema, order]) => deliver(schema, order),
      except: ["version", "createTime", "updateTime", "outbox"],
    });
    expect(count).toBeGreaterThan(cases(5_000));
  });

  it("ignores an event without the fields that a payment needs", async () => {
    const { anOrder, deliver, payments } = await paymentsFixture();
    const whole = anOrder();
    for (const lacking of [
      create(OrderSchema, { ...whole, price: undefined as never }),
      create(OrderSchema, { ...whole, expiresAt: undefined as never }),
      create(OrderSchema, { ...whole, status: OrderStatus.UNSPECIFIED }),
      create(OrderSchema, { ...whole, status: 99 as OrderStatus }),
      undefined,
    ]) {
      await expect(deliver(orderEvents.OrderCreatedSchema, lacking as Order)).rejects.toThrow();
    }
    expect(await payments.countDocuments()).toBe(0);
  });
});

/** How this many events are delivered. */
const late = (count: number, atOnce = fc.boolean()) =>
  fc.record({ order: anyDeliveryOrder(count), atOnce });

/** The second buyer pays. The first does not, because the order expires while the bank is asked. */
const onePays = (fixture: PaymentsFixture, level: DeliveryChange, oneOrAll = fc.boolean()) =>
  fc.asyncProperty(late(4, oneOrAll), late(5, oneOrAll), async (before, after) => {
    const ticketId = newId();
    const first = await fixture.buy({ ticketId });
    await fixture.pay(first);
    const second = await fixture.buy({ ticketId, userId: "eve" });
    const { payment } = await fixture.pay(second);
    const hear = (
      { order, atOnce }: { order: number[]; atOnce: boolean },
      deliveries: Delivery[],
    ) => {
      const recordedEvents = level(order.map((i) => deliveries[i]!));
      return deliverAll(
        recordedEvents,
        ([schema, state]) => fixture.deliver(schema, state),
        atOnce,
      );
    };
    const accepted = next(second, 2n, OrderStatus.AWAITING_PAYMENT, payment?.attemptId);
    const deliveries: Delivery[] = [
      ...ends["expired"]!(first),
      [orderEvents.OrderCreatedSchema, second],
      [orderEvents.OrderAwaitingPaymentSchema, accepted],
    ];
    await hear(before, deliveries);
    expect((await fixture.load(first.id)).order.status).toBe("CANCELLED");
    expect((await fixture.load(second.id)).order.status).toBe("AWAITING_PAYMENT");
    await fixture.attemptReaches(second, "CAPTURED");
    // Orders completes the order only after the capture.
    const completed = next(second, 3n, OrderStatus.COMPLETED, payment?.attemptId);
    await hear(after, [...deliveries, [orderEvents.OrderCompletedSchema, completed]]);
    expect((await fixture.load(first.id)).order.status).toBe("CANCELLED");
    expect((await fixture.load(second.id)).order.status).toBe("COMPLETED");
    await fixture.attemptReaches(first, "VOIDED");
    expect(await fixture.eventNames(first)).toEqual(["PaymentAuthorized", "PaymentVoided"]);
    expect(await fixture.eventNames(second)).toEqual(["PaymentAuthorized", "ChargeCreated"]);
    expect((await fixture.stripeState(first)).taken).toEqual([]);
    expect((await fixture.stripeState(second)).taken).toHaveLength(1);
  });

describe("the payments of two rival orders of one ticket", () => {
  it("end the same, whatever the order and the number of deliveries: one is voided, one is captured", async () => {
    const fixture = await paymentsFixture();
    await fc.assert(onePays(fixture, asTold), { numRuns: cases(20) });
  });

  it("do not without the version comparison", async () => {
    await expectCounterexample(onePays(await paymentsFixture(), asNews, fc.constant(false)));
  });
});

describe("with a real broker", () => {
  it("an order is paid: authorized, accepted, captured", async () => {
    const fixture = await paymentsFixture();
    const broker = await testBroker("payments", subscriptions);
    const running = relay(fixture.payments, {
      service: "payments",
      broker,
      subscriptions,
      log: silentLog,
    });
    onSaved(fixture.payments, running.enqueue);
    const stop = await consume({
      service: "payments",
      broker,
      handlers: paymentEvents({ ...fixture.deps, banReplica: fixture.banReplica }),
      log: silentLog,
      isFault: () => false,
      recovered: () => Promise.resolve(),
    });
    const publish = (schema: DescMessage, order: Order) =>
      broker.publish(
        EVENTS_EXCHANGE,
        schema.typeName,
        Buffer.from(toBinary(schema, create(schema, { order } as never))),
        {
          messageId: newId(),
          type: schema.typeName,
          contentType: "application/protobuf",
          mandatory: true,
        },
      );
    const recordedEvents = async (what: string) => {
      const message = await eventually(() => broker.raw.get("orders", { noAck: true }), what);
      const { type } = message.properties as { type: string };
      const schema = [PaymentAuthorizedSchema, ChargeCreatedSchema].find(
        ({ typeName }) => typeName === type,
      );
      expect(message.properties.headers?.["cloudEvents:subject"]).toBe(order.id);
      return { type, payment: fromBinary(schema!, message.content).payment };
    };

    const order = fixture.anOrder();
    await publish(orderEvents.OrderCreatedSchema, order);
    await eventually(() => fixture.payments.exists({ _id: order.id }), "the order replica");
    const { payment } = await fixture.pay(order);
    const authorized = await recordedEvents("the authorization");
    expect(authorized.type).toBe(PaymentAuthorizedSchema.typeName);
    expect(authorized.payment).toEqual(payment);

    const accepted = next(order, 2n, OrderStatus.AWAITING_PAYMENT, payment!.attemptId);
    await publish(orderEvents.OrderAwaitingPaymentSchema, accepted);
    const charged = await recordedEvents("the charge");
    expect(charged.type).toBe(ChargeCreatedSchema.typeName);
    expect(charged.payment).toMatchObject({ orderId: order.id, attemptId: payment?.attemptId });
    expect((await fixture.stripeState(order)).taken).toHaveLength(1);
    await stop();
    await running.close();
  });
});
