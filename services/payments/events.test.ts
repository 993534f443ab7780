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
import { EVENTS_EXCHANGE } from "#runtime/messaging/topology.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { testBroker } from "#runtime/testing/broker.ts";
import {
  anyDeliveryOrder,
  expectCounterexample,
  expectSameFinalState,
  deliverAll,
} from "#runtime/testing/event-orders.ts";
import { orderCopies, paymentEvents } from "./events.ts";
import { world, type World } from "./testing/payments-fixture.ts";

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

const next = (
  order: Order,
  version: bigint,
  status: OrderStatus,
  attemptId = "an-attempt",
): Order => ({ ...order, version, status, attemptId });

const wordOf = (status: OrderStatus): string =>
  Object.entries(OrderStatus).find(([, number]) => number === status)?.[0] ?? "";

/** What is done to events before they are heard. */
type Levelling = (events: readonly Told[]) => readonly Told[];
const asTold: Levelling = (events) => events;
/** As though what is heard were always news: no comparison finds it old. */
const asNews: Levelling = (events) =>
  events.map(([schema, order], i) => [schema, { ...order, version: BigInt(i + 1) }]);

/** Two rival orders, and in which order their events are heard. */
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

/** Hears of orders by turns in events and in snapshots, as after a restart from an empty database. */
function eventsAndSnapshots({ payments, tell }: World): (told: Told) => Promise<unknown> {
  const { applyIfNewer } = orderCopies({ payments, log: silentLog });
  let turn = 0;
  return ([schema, order]) => ((turn += 1) % 2 === 0 ? applyIfNewer(order) : tell(schema, order));
}

/** That of two orders of one ticket the newest states are kept of which was heard, in their own payments. */
const newestIsKept = (all: World, level: Levelling, oneOrAll = fc.boolean()) =>
  fc.asyncProperty(rivals, oneOrAll, async ({ first, second, order: which }, atOnce) => {
    const { anOrder, load } = all;
    const ticketId = newId();
    const told = [...ends[first]!(anOrder({ ticketId })), ...ends[second]!(anOrder({ ticketId }))];
    const heard = which.map((i) => told[i]!);
    await deliverAll(level(heard), eventsAndSnapshots(all), atOnce);
    for (const id of new Set(told.map(([, { id }]) => id))) {
      const newest = told.findLast(([, state]) => state.id === id)![1];
      expect((await load(id)).order).toMatchObject({
        ticketId,
        status: wordOf(newest.status),
        expired: newest.cancelReason === CancelReason.EXPIRED,
        attemptId: newest.attemptId,
      });
    }
  });

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
    await fc.assert(newestIsKept(await world(), asTold), { numRuns: 40 });
  });

  it("would not be, were versions not compared", async () => {
    await expectCounterexample(newestIsKept(await world(), asNews, fc.constant(false)));
  });

  it("ends as in their order, thousands of events, thrice each and shuffled (P10)", async () => {
    const { anOrder, tell, payments, settler } = await world();
    await settler.close(); // It has nothing to do here, and would look at each.
    const lives = Object.values(ends);
    const events = Array.from({ length: 33 }, (_, i) => lives[i % lives.length]!(anOrder())).flat();
    const count = await expectSameFinalState({
      collections: [payments.collection],
      events,
      hear: ([schema, order]) => tell(schema, order),
      except: ["version", "createTime", "updateTime", "outbox"],
    });
    expect(count).toBeGreaterThan(5_000);
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

/** How so many events are heard. */
const late = (count: number, atOnce = fc.boolean()) =>
  fc.record({ order: anyDeliveryOrder(count), atOnce });

/** That the second buyer pays and the first does not, whose time ran out while the bank was asked. */
const onePays = (all: World, level: Levelling, oneOrAll = fc.boolean()) =>
  fc.asyncProperty(late(4, oneOrAll), late(5, oneOrAll), async (before, after) => {
    const ticketId = newId();
    const first = await all.buy({ ticketId });
    await all.pay(first);
    const second = await all.buy({ ticketId, userId: "eve" });
    const { payment } = await all.pay(second);
    const hear = ({ order, atOnce }: { order: number[]; atOnce: boolean }, told: Told[]) => {
      const heard = level(order.map((i) => told[i]!));
      return deliverAll(heard, ([schema, state]) => all.tell(schema, state), atOnce);
    };
    const accepted = next(second, 2n, OrderStatus.AWAITING_PAYMENT, payment?.attemptId);
    const told: Told[] = [
      ...ends["expired"]!(first),
      [orderEvents.OrderCreatedSchema, second],
      [orderEvents.OrderAwaitingPaymentSchema, accepted],
    ];
    await hear(before, told);
    expect((await all.load(first.id)).order.status).toBe("CANCELLED");
    expect((await all.load(second.id)).order.status).toBe("AWAITING_PAYMENT");
    await all.reaches(second, "CAPTURED");
    // Orders completes what was captured, and not before.
    const completed = next(second, 3n, OrderStatus.COMPLETED, payment?.attemptId);
    await hear(after, [...told, [orderEvents.OrderCompletedSchema, completed]]);
    expect((await all.load(first.id)).order.status).toBe("CANCELLED");
    expect((await all.load(second.id)).order.status).toBe("COMPLETED");
    await all.reaches(first, "VOIDED");
    expect(await all.names(first)).toEqual(["PaymentAuthorized", "PaymentVoided"]);
    expect(await all.names(second)).toEqual(["PaymentAuthorized", "ChargeCreated"]);
    expect((await all.books(first)).taken).toEqual([]);
    expect((await all.books(second)).taken).toHaveLength(1);
  });

describe("the payments of two rival orders of one ticket", () => {
  it("end the same, in whatever order and however often events come: one is given up, one is taken", async () => {
    const all = await world();
    await fc.assert(onePays(all, asTold), { numRuns: 20 });
  });

  it("would not, were versions not compared", async () => {
    await expectCounterexample(onePays(await world(), asNews, fc.constant(false)));
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
      log: silentLog,
    });
    const stop = await consume({
      service: "payments",
      broker,
      handlers: paymentEvents({ ...all.deps, banReplica: all.banReplica }),
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

    const accepted = next(order, 2n, OrderStatus.AWAITING_PAYMENT, payment!.attemptId);
    await publish(orderEvents.OrderAwaitingPaymentSchema, accepted);
    const charged = await heard("the charge");
    expect(charged.type).toBe(ChargeCreatedSchema.typeName);
    expect(charged.payment).toMatchObject({ orderId: order.id, attemptId: payment?.attemptId });
    expect((await all.books(order)).taken).toHaveLength(1);
    await stop();
    await running.close();
  });
});
