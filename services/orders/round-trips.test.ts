import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import { OrderFilter } from "@ticketing/proto/orders/v1/order_service";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import * as payments from "@ticketing/proto/payments/v1/payment_events";
import {
  TicketCreatedSchema,
  TicketUpdatedSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { v4 } from "uuid";
import { expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { commandsOf } from "#runtime/testing/database.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { as } from "#runtime/testing/tokens.ts";
import { paymentMessage, testOrders, ticketMessage } from "./testing.ts";

// What each RPC and each event costs at the database. A command more is a decision, not an accident.

const { deps, client, handle, pass, setBanned, ticket, buy } = await testOrders({
  extensionSeconds: 60,
});

type Work = () => Promise<unknown>;

/** Buys from a client network, as the edge does. */
const buyFrom = async (ticketId: string, userId: string, more: object = {}) => {
  const { headers } = await as(userId);
  const from = { headers: { ...headers, "x-forwarded-for": "192.0.2.7" } };
  return client.createOrder({ ticketId, requestId: v4(), ...more }, from);
};

const held = async () => buy(await ticket());
const authorized = async () => {
  const order = await held();
  await handle(payments.PaymentAuthorizedSchema, paymentMessage(order.id, "a"));
  return order;
};
const paid = async () => {
  const order = await authorized();
  await handle(payments.ChargeCreatedSchema, paymentMessage(order.id, "a"));
  return order;
};

const HELD = ["find orders"];
const CREATED = ["find orders", "aggregate tickets", "insert orders", "aggregate orders"];
const CHANGED = ["find orders", "update orders"];

const rpcs: [string, readonly string[], () => Promise<Work>][] = [
  [
    "CreateOrder",
    CREATED,
    async () => {
      const ticketId = await ticket();
      return () => buyFrom(ticketId, newId());
    },
  ],
  [
    "CreateOrder of a held ticket",
    HELD,
    async () => {
      const { ticketId } = await held();
      return () => refusal(buyFrom(ticketId, newId()));
    },
  ],
  [
    "CreateOrder of a sold ticket",
    HELD,
    async () => {
      const { ticketId } = await paid();
      return () => refusal(buyFrom(ticketId, newId()));
    },
  ],
  [
    "CreateOrder, repeated",
    HELD,
    async () => {
      const [ticketId, userId, requestId] = [await ticket(), newId(), v4()];
      await buyFrom(ticketId, userId, { requestId });
      return () => buyFrom(ticketId, userId, { requestId });
    },
  ],
  [
    "CreateOrder of an unknown ticket",
    ["find orders", "aggregate tickets"],
    () => Promise.resolve(() => refusal(buyFrom(newId(), newId()))),
  ],
  [
    "CreateOrder after a hold that has run out",
    ["find orders", ...CHANGED, ...CREATED],
    async () => {
      const { ticketId } = await held();
      pass(901);
      return () => buyFrom(ticketId, newId());
    },
  ],
  [
    "GetOrder",
    ["find orders"],
    async () => {
      const { id, userId } = await held();
      return async () => client.getOrder({ id }, await as(userId));
    },
  ],
  [
    "ListOrders",
    ["find orders"],
    async () => {
      const { userId } = await held();
      return async () => client.listOrders({ filter: OrderFilter.ACTIVE }, await as(userId));
    },
  ],
  [
    "CancelOrder",
    CHANGED,
    async () => {
      const { id, userId } = await held();
      return async () => client.cancelOrder({ id }, await as(userId));
    },
  ],
];

const events: [string, readonly string[], () => Promise<Work>][] = [
  [
    "TicketCreated",
    ["update tickets"],
    () => Promise.resolve(() => handle(TicketCreatedSchema, { ticket: ticketMessage() })),
  ],
  [
    "TicketUpdated",
    ["update tickets"],
    async () => {
      const id = await ticket();
      const changed = ticketMessage({ id, version: 2n });
      return () => handle(TicketUpdatedSchema, { ticket: changed });
    },
  ],
  [
    "ExpirationComplete of a hold that has run out",
    CHANGED,
    async () => {
      const { id: orderId } = await held();
      pass(901);
      return () => handle(ExpirationCompleteSchema, { orderId });
    },
  ],
  [
    "ExpirationComplete of an order that is paid",
    ["find orders"],
    async () => {
      const { id: orderId } = await paid();
      pass(901);
      return () => handle(ExpirationCompleteSchema, { orderId });
    },
  ],
  [
    "PaymentActionRequired",
    CHANGED,
    async () => {
      const { id } = await held();
      return () => handle(payments.PaymentActionRequiredSchema, paymentMessage(id, "a"));
    },
  ],
  [
    "PaymentAuthorized",
    CHANGED,
    async () => {
      const { id } = await held();
      return () => handle(payments.PaymentAuthorizedSchema, paymentMessage(id, "a"));
    },
  ],
  [
    "ChargeCreated",
    CHANGED,
    async () => {
      const { id } = await authorized();
      return () => handle(payments.ChargeCreatedSchema, paymentMessage(id, "a"));
    },
  ],
  [
    "ChargeFailed",
    CHANGED,
    async () => {
      const { id } = await authorized();
      return () => handle(payments.ChargeFailedSchema, paymentMessage(id, "a"));
    },
  ],
  [
    "ChargeRefunded, in part",
    [],
    async () => {
      const { id } = await paid();
      const part = paymentMessage(id, "a", PaymentStatus.PARTLY_REFUNDED);
      return () => handle(payments.ChargeRefundedSchema, part);
    },
  ],
  [
    "ChargeRefunded",
    CHANGED,
    async () => {
      const { id } = await paid();
      return () => handle(payments.ChargeRefundedSchema, paymentMessage(id, "a"));
    },
  ],
  [
    "UserBanned, without open orders",
    ["update users", "find users", "find orders", "find users"],
    () => Promise.resolve(() => setBanned(newId(), 2, true)),
  ],
];

it.each(rpcs)("%s sends %j", async (_, expected, prepare) => {
  const work = await prepare();
  expect(await commandsOf(deps.orders.db, work)).toEqual(expected);
});

it.each(events)("handling %s sends %j", async (_, expected, prepare) => {
  const work = await prepare();
  expect(await commandsOf(deps.orders.db, work)).toEqual(expected);
});

it("a hundred simultaneous refusals share their reads", async () => {
  const { ticketId } = await held();
  const refusals = () =>
    Promise.all(Array.from({ length: 100 }, () => refusal(buyFrom(ticketId, newId()))));
  const commands = await commandsOf(deps.orders.db, refusals);
  expect(new Set(commands)).toEqual(new Set(HELD));
  expect(commands.length).toBeLessThan(50);
});

it("a hundred buyers of a free ticket make one attempt to store an order", async () => {
  const ticketId = await ticket();
  const race = () =>
    Promise.allSettled(Array.from({ length: 100 }, () => buyFrom(ticketId, newId())));
  const commands = await commandsOf(deps.orders.db, race);
  expect(commands.filter((command) => command === "insert orders")).toHaveLength(1);
});
