import type { DescMessage } from "@bufbuild/protobuf";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import type { Order } from "@ticketing/proto/orders/v1/order";
import {
  ChargeCreatedSchema,
  ChargeFailedSchema,
  ChargeRefundedSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { TicketUpdatedSchema } from "@ticketing/proto/tickets/v1/ticket_events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import {
  anyDeliveryOrder,
  expectCounterexample,
  deliverAll,
} from "#runtime/testing/event-orders.ts";
import { cases } from "#runtime/testing/thoroughness.ts";
import { paymentMessage, testOrders, ticketMessage, statusWordsOf } from "./testing.ts";

const { deps, client, handle, pass, ticket, buy, get, recorded } = await testOrders();

/** An event for orders: of a payment, of a timer, or of the ticket. */
type Heard = { schema: DescMessage } & (
  | { of: "payment"; orderId: string; attempt: string }
  | { of: "timer"; orderId: string }
  | { of: "ticket"; ticketId: string; version: number; status: TicketStatus }
);

/** How the first hold of the ticket ends, and how the second does. */
const firstEnds = ["CANCELLED EXPIRED", "CANCELLED BUYER", "CANCELLED PAYMENT_FAILED"] as const;
const secondEnds = [
  "CREATED",
  "AWAITING_PAYMENT",
  "COMPLETED",
  "CANCELLED REFUNDED",
  "CANCELLED EXPIRED",
] as const;
type FirstEnd = (typeof firstEnds)[number];
type SecondEnd = (typeof secondEnds)[number];

const { ON_SALE, HELD, SOLD, WITHDRAWN } = TicketStatus;
/** What tickets has published: it follows the orders' events, so it may be late too. */
const ticketLives: Record<SecondEnd, TicketStatus[]> = {
  CREATED: [HELD, ON_SALE, HELD],
  AWAITING_PAYMENT: [HELD, ON_SALE, HELD],
  COMPLETED: [HELD, ON_SALE, HELD, SOLD],
  "CANCELLED REFUNDED": [HELD, ON_SALE, HELD, SOLD, WITHDRAWN],
  "CANCELLED EXPIRED": [HELD, ON_SALE, HELD, ON_SALE],
};

const payment = (schema: DescMessage, { id }: Order, attempt: string): Heard => ({
  ...{ schema, of: "payment", orderId: id, attempt },
});
const timer = ({ id }: Order): Heard => ({
  ...{ schema: ExpirationCompleteSchema, of: "timer", orderId: id },
});

/** The payment events of the second order: of its accepted attempt, and of another one. */
function paymentsOf(order: Order, end: SecondEnd): Heard[] {
  const paid = [ChargeCreatedSchema];
  const schemas: Partial<Record<SecondEnd, DescMessage[]>> = {
    AWAITING_PAYMENT: [],
    COMPLETED: paid,
    "CANCELLED REFUNDED": [...paid, ChargeRefundedSchema],
  };
  const accepted = schemas[end];
  if (!accepted) return [];
  return [
    ...[PaymentAuthorizedSchema, ...accepted].map((schema) => payment(schema, order, "accepted")),
    payment(ChargeFailedSchema, order, "other"),
    payment(ChargeRefundedSchema, order, "other"),
  ];
}

/** All events that may arrive late or again once both orders exist. */
function eventsOf(first: Order, second: Order, end: SecondEnd): Heard[] {
  const { ticketId } = first;
  const schemas = [PaymentAuthorizedSchema, ChargeFailedSchema, ChargeRefundedSchema];
  const states = ticketLives[end].map((status, i): Heard => ({
    ...{ schema: TicketUpdatedSchema, of: "ticket", ticketId, version: i + 2, status },
  }));
  return [
    ...schemas.map((schema) => payment(schema, first, "first")),
    ...[timer(first), timer(second), ...paymentsOf(second, end), ...states],
  ];
}

function tell(event: Heard): Promise<void> {
  const { schema } = event;
  if (event.of === "timer") return handle(schema, { orderId: event.orderId } as never);
  if (event.of === "payment")
    return handle(schema, paymentMessage(event.orderId, event.attempt) as never);
  const { ticketId: id, version, status } = event;
  const state = ticketMessage({ id, version: BigInt(version), status });
  return handle(schema, { ticket: state } as never);
}

async function end(order: Order, how: FirstEnd): Promise<void> {
  if (how === "CANCELLED EXPIRED") return pass(901);
  if (how === "CANCELLED PAYMENT_FAILED") return tell(payment(ChargeFailedSchema, order, "first"));
  await client.cancelOrder({ id: order.id }, await as(order.userId));
}

/** Two buyers hold one ticket, one after the other; the second has paid if its end requires it. */
async function rivals(firstEnd: FirstEnd, secondEnd: SecondEnd): Promise<[Order, Order]> {
  const ticketId = await ticket();
  const first = await buy(ticketId);
  await end(first, firstEnd);
  const second = await buy(ticketId);
  // No charge exists before orders has accepted the payment, so this event is not late.
  const [authorized] = paymentsOf(second, secondEnd);
  if (authorized) await tell(authorized);
  if (secondEnd !== "CREATED") pass(901);
  return [first, second];
}

/** Changes events before they are handled. */
type Levelling = (events: readonly Heard[]) => readonly Heard[];
const asTold: Levelling = (events) => events;
/** Makes every event of a ticket look new. */
const asNews: Levelling = (events) =>
  events.map((event, i) => (event.of === "ticket" ? { ...event, version: i + 2 } : event));
/** Makes all events of an order name one attempt. */
const asOneAttempt: Levelling = (events) =>
  events.map((event) => (event.of === "payment" ? { ...event, attempt: "accepted" } : event));

const story = fc
  .record({ firstEnd: fc.constantFrom(...firstEnds), secondEnd: fc.constantFrom(...secondEnds) })
  .chain((ends) => {
    const count = eventsOf({} as Order, {} as Order, ends.secondEnd).length;
    return fc.record({ ends: fc.constant(ends), order: anyDeliveryOrder(count) });
  });

/** Both orders and the ticket's replica end as they do when each event arrives once and in order. */
const sameEnd = (level: Levelling, oneOrAll = fc.boolean()) =>
  fc.asyncProperty(story, oneOrAll, async ({ ends, order }, atOnce) => {
    const { firstEnd, secondEnd } = ends;
    const [first, second] = await rivals(firstEnd, secondEnd);
    const events = eventsOf(first, second, secondEnd);
    await deliverAll(level(order.map((i) => events[i] as Heard)), tell, atOnce);
    expect(statusWordsOf(await get(first))).toBe(firstEnd);
    expect(statusWordsOf(await get(second))).toBe(secondEnd);
    expect(await recorded(first.id)).toHaveLength(2);
    const states = ticketLives[secondEnd];
    expect(await deps.tickets.findById(first.ticketId).lean()).toMatchObject({
      version: states.length + 1,
      sold: states.at(-1) === SOLD,
      withdrawn: states.at(-1) === WITHDRAWN,
    });
  });

describe("two rival orders of one ticket", () => {
  it("end in the same state, and so does the ticket, in whatever order and however often events arrive", async () => {
    await fc.assert(sameEnd(asTold), { numRuns: cases(60) });
  });

  it("would not, if versions of the ticket were not compared", async () => {
    await expectCounterexample(sameEnd(asNews, fc.constant(false)));
  });

  it("would not, if the attempts of their payments were not compared", async () => {
    await expectCounterexample(sameEnd(asOneAttempt, fc.constant(false)));
  });
});
