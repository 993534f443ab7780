import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { UserBannedSchema } from "@ticketing/proto/auth/v1/user_events";
import { UserStatus } from "@ticketing/proto/auth/v1/user";
import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import {
  OrderCompletedSchema,
  OrderCreatedSchema,
  OrderExpiredSchema,
} from "@ticketing/proto/orders/v1/order_events";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeCreatedSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { connect, type ChannelModel } from "amqplib";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { toProperties } from "#runtime/messaging/topology/envelope.ts";
import { EVENTS_EXCHANGE } from "#runtime/messaging/topology/topology.ts";
import { until } from "#stack/process";
import { buy, listTicket, fetchOrder, signUp, fetchTicket, type Person } from "./testing/person.ts";
import "./testing/setup.ts"; // For the type of what it provides.

// An attacker has the broker password of expiration, the service with the fewest permissions.

const { url, brokerUrls, amqpUrl } = inject("marketplace");
const EXPIRATION = "ticketing.expiration.v1.ExpirationComplete";

let thief: ChannelModel;
let administrator: ChannelModel;
let seller: Person, buyer: Person;
beforeAll(async () => {
  [thief, administrator] = await Promise.all([
    connect(brokerUrls["expiration"] ?? ""),
    connect(amqpUrl),
  ]);
  for (const connection of [thief, administrator]) connection.on("error", () => undefined);
  [seller, buyer] = (await Promise.all(["seller", "buyer"].map((name) => signUp(url, name)))) as [
    Person,
    Person,
  ];
});
afterAll(() => Promise.all([thief, administrator].map((connection) => connection?.close())));

/** The exchanges and keys by which a forged event is published. */
const ways = [
  ["under its own name", (type: string) => ({ exchange: EVENTS_EXCHANGE, key: type })],
  ["under a name of expiration's", () => ({ exchange: EVENTS_EXCHANGE, key: EXPIRATION })],
  ["into the queue of orders", () => ({ exchange: "", key: "orders" })],
  ["into the queue of tickets", () => ({ exchange: "", key: "tickets" })],
  ["into the queue of payments", () => ({ exchange: "", key: "payments" })],
] as const;

/** Publishes an event in every possible way, with the metadata that its owner would send. */
async function forge<D extends DescMessage>(
  schema: D,
  message: MessageInitShape<D>,
  subject: string,
): Promise<void> {
  const { typeName: type } = schema;
  const source = type.split(".")[1] ?? "";
  const body = Buffer.from(toBinary(schema, create(schema, message)));
  for (const [, way] of ways) {
    const { exchange, key } = way(type);
    const about = { id: crypto.randomUUID(), type, source, subject, time: new Date() };
    for (const userId of [undefined, "expiration", source]) {
      const channel = await thief.createConfirmChannel();
      channel.on("error", () => undefined);
      const gone = new Promise<void>((resolve) => channel.once("close", resolve));
      const properties = { ...toProperties(about), ...(userId && { userId }) };
      channel.publish(exchange, key, body, properties);
      await Promise.race([channel.waitForConfirms(), gone]).catch(() => undefined);
      await channel.close().catch(() => undefined);
    }
  }
}

/** Resolves when the service has rejected a forged event, and thus all that preceded it in the queue. */
async function seenBy(service: string, known: number): Promise<void> {
  const channel = await administrator.createChannel();
  const dead = async () => (await channel.checkQueue(`${service}.dead`)).messageCount > known;
  await until(dead, { what: `${service} to refuse it`, timeoutMs: 30_000 });
  await channel.close();
}
const deadOf = async (service: string): Promise<number> => {
  const channel = await administrator.createChannel();
  const { messageCount } = await channel.checkQueue(`${service}.dead`);
  await channel.close();
  return messageCount;
};

describe("with the password of expiration", () => {
  it("an attacker cannot complete an order without payment, or sell a ticket", async () => {
    const ticket = await listTicket(seller);
    const order = await buy(buyer, ticket);
    const known = await deadOf("orders");
    const attemptId = crypto.randomUUID();
    const payment = {
      ...{ orderId: order.id, attemptId, userId: buyer.id, sellerId: seller.id },
      ...(order.price && { amount: order.price }),
    };
    const paid = { payment: { ...payment, status: PaymentStatus.AUTHORIZED } };
    await forge(PaymentAuthorizedSchema, paid, order.id);
    const taken = { payment: { ...payment, status: PaymentStatus.CAPTURED } };
    await forge(ChargeCreatedSchema, taken, order.id);
    const done = { ...order, status: OrderStatus.COMPLETED, version: order.version + 5n };
    await forge(OrderCompletedSchema, { order: done }, order.id);
    // Events under a name that expiration may publish reach orders, which rejects them.
    await seenBy("orders", known);
    expect(await fetchOrder(buyer, order)).toMatchObject({
      status: OrderStatus.CREATED,
      attemptId: "",
    });
    expect((await fetchTicket(buyer, ticket)).status).toBe(TicketStatus.HELD);
  });

  it("an attacker cannot release a held ticket, or hold a free one", async () => {
    const [held, free] = [await listTicket(seller), await listTicket(seller)];
    const order = await buy(buyer, held);
    const over = { ...order, status: OrderStatus.CANCELLED, version: order.version + 5n };
    await forge(OrderExpiredSchema, { order: over }, order.id);
    const made = { ...order, id: crypto.randomUUID(), ticketId: free.id, holdNumber: 9n };
    await forge(OrderCreatedSchema, { order: made }, made.id);
    // A genuine event follows the forged ones: once it is handled, so are they.
    await buyer.orders.cancelOrder({ id: (await buy(buyer, await listTicket(seller))).id });
    expect((await fetchTicket(buyer, held)).status).toBe(TicketStatus.HELD);
    expect((await fetchTicket(buyer, free)).status).toBe(TicketStatus.ON_SALE);
  });

  it("an attacker cannot ban a user", async () => {
    const user = { id: buyer.id, version: 1_000n, status: UserStatus.BANNED };
    await forge(UserBannedSchema, { user }, buyer.id);
    const order = await buy(buyer, await listTicket(seller));
    expect((await fetchOrder(buyer, order)).status).toBe(OrderStatus.CREATED);
    expect((await buyer.auth.getCurrentUser({})).user?.id).toBe(buyer.id);
    await buyer.orders.cancelOrder({ id: order.id });
  });
});
