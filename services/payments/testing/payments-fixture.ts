import { onSaved } from "#runtime/store/aggregate.ts";
import {
  create,
  createRegistry,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CallOptions } from "@connectrpc/connect";
import {
  CancelReason,
  OrderSchema,
  OrderStatus,
  type Order,
} from "@ticketing/proto/orders/v1/order";
import * as orderEvents from "@ticketing/proto/orders/v1/order_events";
import { file_ticketing_payments_v1_payment_events as paymentEventsFile } from "@ticketing/proto/payments/v1/payment_events";
import {
  PaymentStatus,
  type Payment as PaymentMessage,
} from "@ticketing/proto/payments/v1/payment";
import { PaymentService } from "@ticketing/proto/payments/v1/payment_service";
import * as ticketEvents from "@ticketing/proto/tickets/v1/ticket_events";
import type Stripe from "stripe";
import { expect, onTestFinished } from "vitest";
import { HealthState } from "#runtime/rpc/health.ts";
import { serveHttp } from "#runtime/lifecycle/http.ts";
import { newId } from "#runtime/store/ids.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { toMoney } from "#runtime/values/money.ts";
import { as } from "#runtime/testing/tokens.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { testClient } from "#runtime/testing/client.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import type { CardLimits } from "../checkout/card-limits.ts";
import { paymentEvents } from "../events.ts";
import { balanceModel } from "../balances/balance.ts";
import { newestAttempt, refundedAmount, type PaymentFields, type Payments } from "../payment.ts";
import { paymentModel } from "../payment-model.ts";
import { payoutModel } from "../payout.ts";
import { paymentRoutes } from "../rpc.ts";
import { startSettlementWorker, type SettlementOptions } from "../settlement/settlement-worker.ts";
import { heldAtStripe } from "../ledger.ts";
import { isCaptured, pendingRefund } from "../refunds/refund-state.ts";
import {
  fastRetryStripe,
  KEY,
  localStripe,
  WEBHOOK_SECRET,
  type StripeFault,
} from "./stripe-fixture.ts";
import { stripeWebhook } from "../stripe/webhook-handler.ts";
import { readMissedEvents } from "../stripe/missed-events.ts";
import { markHandled, webhookModel } from "../stripe/webhook.ts";
import { retryUnhandled } from "../stripe/webhook-inbox.ts";
import { paymentListener } from "../settlement/payment-listener.ts";

export const FEE_BPS = 500;
export const PUBLIC_URL = "https://tickets.example";

/** The state of one order at Stripe. */
export interface StripeState {
  intents: Stripe.PaymentIntent[];
  /** The captured charges. */
  taken: Stripe.Charge[];
  refunds: Stripe.Refund[];
}

const published = createRegistry(paymentEventsFile);

type OrderChange = MessageInitShape<typeof OrderSchema> & { amount?: number };

export interface HeardEvent {
  id: string;
  /** The type name without its package. */
  name: string;
  payment: PaymentMessage;
}

/** The payments, saved without optimistic concurrency. */
function unguarded(payments: Payments): Payments {
  const schema = payments.schema.clone();
  schema.pre("save", function () {
    this.$where = {};
  });
  payments.db.deleteModel("Payment");
  return payments.db.model("Payment", schema, "payments") as unknown as Payments;
}

interface Options {
  webhooks?: boolean;
  unguarded?: boolean;
  /** The signing secrets of webhooks. */
  secrets?: string[];
  /** Limits against card testing; none by default. */
  cards?: CardLimits;
}

const unlimited: CardLimits = {
  countAttempt: () => Promise.resolve({ isTerse: false }),
  countRefusal: () => Promise.resolve(),
  uncountAttempt: () => Promise.resolve(),
};

/** The service with real dependencies, for one test; the test plays the orders service. */
export async function paymentsFixture(options: Options = {}) {
  const db = await testDatabase("payments");
  const { log, lines } = recordedLog();
  const { cards = unlimited, secrets = [WEBHOOK_SECRET] } = options;
  const payments = options.unguarded ? unguarded(paymentModel(db)) : paymentModel(db);
  const webhooks = webhookModel(db);
  const banReplica = banReplicaModel(db);
  await buildIndexes(payments, webhooks);
  const clock = { ahead: 0 };
  const now = (): number => Date.now() + clock.ahead;

  let onWebhook: ReturnType<typeof stripeWebhook> | undefined;
  const http = await serveHttp({
    service: "payments",
    host: "127.0.0.1",
    port: 0,
    routes: new Map([["POST /webhooks/stripe", (req, res) => onWebhook?.(req, res)]]),
    health: new HealthState(),
    log,
  });
  onTestFinished(() => http.close());
  const webhookUrl = `http://127.0.0.1:${http.port}/webhooks/stripe`;
  const told = { url: webhookUrl, secret: WEBHOOK_SECRET };
  const stripeServer = await localStripe(options.webhooks ? told : undefined);

  /** A process of the service. Another one may run beside it or after it. */
  function start(
    stripe: Stripe = fastRetryStripe(stripeServer.base),
    firstPauseMs = 20,
    patient?: SettlementOptions["lowPriority"],
  ) {
    const settling = { payments, stripe, log, now, feeBps: FEE_BPS };
    const deps = {
      ...{ ...settling, cards, publicUrl: PUBLIC_URL, methodTypes: ["card"], holdDays: 14 },
      ...{ payouts: payoutModel(db), balances: balanceModel(db) },
    };
    const settler = startSettlementWorker(deps, {
      ...{ firstPauseMs, ...(patient && { lowPriority: patient }) },
      markHandled: (ids) => markHandled(webhooks, ids),
    });
    onSaved(payments, settler.enqueue);
    const listeners = [paymentListener(payments, settler)];
    onWebhook = stripeWebhook({ webhooks, stripe, secrets, listeners, log });
    const client = testClient(PaymentService, paymentRoutes(deps), log);
    onTestFinished(() => void settler.close()); // A crashed process does not shut down cleanly.
    return {
      ...{ deps, settler, client },
      askAgain: () => retryUnhandled({ webhooks, listeners }, now()),
      catchUp: readMissedEvents({ stripe, webhooks, listeners, now }),
    };
  }
  const service = start();
  const handlers = new Map(
    paymentEvents({ payments, banReplica }).map((each) => [each.type, each]),
  );

  const load = (id: string): Promise<PaymentFields> =>
    payments.findById(id).orFail().lean<PaymentFields>().exec();

  /** All recorded events; no relay removes them here. */
  async function recordedEvents(orderId: string): Promise<HeardEvent[]> {
    const found = await payments.findById(orderId).orFail();
    return found.outbox.map(({ _id, type, payload }) => {
      const schema = published.getMessage(type);
      if (!schema) throw new Error(`payments publishes ${type}`);
      const { payment } = fromBinary(schema, payload) as unknown as { payment: PaymentMessage };
      return { id: _id, name: type.split(".").at(-1) ?? "", payment };
    });
  }

  /** Collects the events of orders if a test delivers them late, twice or out of order. */
  let held: (() => Promise<unknown>)[] | undefined;

  /** Sends payments an event of an order. */
  const deliver = (schema: DescMessage, order: Order): Promise<void> => send(schema, { order });

  /** Sends payments an event of the code of the order's ticket. */
  async function deliverCodeEvent(
    order: Order,
    became: "opened" | "sealed",
    at = 0,
  ): Promise<void> {
    const code = { orderId: order.id, ticketId: order.ticketId };
    if (became === "sealed") return send(ticketEvents.TicketCodeSealedSchema, code);
    return send(ticketEvents.TicketCodeOpenedSchema, { ...code, openTime: timestampFromMs(at) });
  }

  /** Delivers an event to payments in bytes, as the broker does. */
  async function send(schema: DescMessage, event: object): Promise<void> {
    const handler = handlers.get(schema.typeName);
    if (!handler) throw new Error(`payments does not hear ${schema.typeName}`);
    const bytes = toBinary(schema, create(schema, event as never));
    const deliver = (): Promise<unknown> => handler.handle(handler.decode(bytes));
    if (held) held.push(deliver);
    else await deliver();
  }

  /** From now on, events of orders wait in the returned list, or no longer wait. */
  function hold(events: (() => Promise<unknown>)[] | undefined): void {
    held = events;
  }

  /** An order that is unknown to payments. */
  function anOrder({ amount = 2550, ...rest }: OrderChange = {}): Order {
    return create(OrderSchema, {
      id: newId(),
      userId: "ann",
      sellerId: "sam",
      ticketId: newId(),
      title: "A concert",
      price: toMoney({ amount, currency: "USD" }),
      status: OrderStatus.CREATED,
      expiresAt: timestampFromMs(now() + 900_000),
      version: 1n,
      holdNumber: 1n,
      ...(rest as object),
    });
  }

  /** An order that is known to payments. */
  async function buy(change?: OrderChange): Promise<Order> {
    const order = anOrder(change);
    await deliver(orderEvents.OrderCreatedSchema, order);
    return order;
  }

  /** Changes the order; the test decides whether and when payments receives the event. */
  function change(order: Order, to: Partial<Order>): void {
    Object.assign(order, to, { version: order.version + 1n });
  }

  async function accept(order: Order, attemptId?: string): Promise<void> {
    const accepted = attemptId ?? newestAttempt(await load(order.id))?._id ?? "";
    change(order, { status: OrderStatus.AWAITING_PAYMENT, attemptId: accepted });
    await deliver(orderEvents.OrderAwaitingPaymentSchema, order);
  }

  async function cancel(order: Order, reason: CancelReason = CancelReason.BUYER): Promise<void> {
    change(order, { status: OrderStatus.CANCELLED, cancelReason: reason });
    const expired = reason === CancelReason.EXPIRED;
    await deliver(
      expired ? orderEvents.OrderExpiredSchema : orderEvents.OrderCancelledSchema,
      order,
    );
  }

  const done = new Set<string>();

  /** Handles the events that were recorded since the last call, as the orders service does. */
  async function decide(order: Order): Promise<void> {
    const isNow = (status: OrderStatus): boolean => order.status === status;
    for (const { id, name, payment } of await recordedEvents(order.id)) {
      if (done.has(id)) continue;
      done.add(id);
      const isCreated = isNow(OrderStatus.CREATED);
      const isAccepted =
        isNow(OrderStatus.AWAITING_PAYMENT) && order.attemptId === payment.attemptId;
      if (name === "PaymentAuthorized" && isCreated) {
        await accept(order, payment.attemptId);
      } else if (name === "ChargeCreated" && isAccepted) {
        change(order, { status: OrderStatus.COMPLETED });
        await deliver(orderEvents.OrderCompletedSchema, order);
      } else if (name === "ChargeFailed" && (isCreated || isAccepted)) {
        await cancel(order, CancelReason.PAYMENT_FAILED);
      } else if (name === "ChargeRefunded" && payment.status === PaymentStatus.REFUNDED) {
        if (!isNow(OrderStatus.CANCELLED)) await cancel(order, CancelReason.REFUNDED);
      }
    }
  }

  async function stripeState(order: Order): Promise<StripeState> {
    const fixture = (await stripeServer.control("GET", "records")) as {
      payment_intents: Stripe.PaymentIntent[];
      charges: Stripe.Charge[];
      refunds: Stripe.Refund[];
    };
    const intents = fixture.payment_intents.filter(
      ({ metadata }) => metadata["order_id"] === order.id,
    );
    const isOurs = ({ payment_intent: of }: { payment_intent: unknown }): boolean =>
      intents.some(({ id }) => id === of);
    const taken = fixture.charges.filter((charge) => charge.captured && isOurs(charge));
    return { intents, taken, refunds: fixture.refunds.filter(isOurs) };
  }

  /**
   * The central guarantee: money is captured and kept if and only if the order is completed, and
   * only once (R62). The refunds at Stripe equal those in our ledger, which sums to zero.
   */
  async function balance(order: Order): Promise<void> {
    const { intents, taken, refunds } = await stripeState(order);
    const captured = taken.reduce((sum, charge) => sum + charge.amount_captured, 0);
    const back = refunds
      .filter(({ status }) => status === "succeeded" || status === "pending")
      .reduce((sum, refund) => sum + refund.amount, 0);
    const found = await load(order.id);
    const isCompleted = order.status === OrderStatus.COMPLETED;
    expect(captured - back > 0).toBe(isCompleted);
    if (isCompleted) expect(captured).toBe(found.order.price);
    expect(taken.length).toBeLessThanOrEqual(1);
    expect(refundedAmount(found)).toBe(back);
    if (!found.dispute) expect(heldAtStripe(found.postings)).toBe(captured - back);
    for (const { lines } of found.postings) {
      expect(lines.reduce((sum, { amount }) => sum + amount, 0)).toBe(0);
    }
    // An intent that is not final was never confirmed, and only its lost call knew it.
    const known = found.attempts.map(({ stripeId }) => stripeId);
    for (const { id, status } of intents) {
      const isOver = status === "canceled" || status === "succeeded";
      if (!isOver)
        expect({ status, known: known.includes(id) }).toEqual({
          status: "requires_confirmation",
          known: false,
        });
    }
  }

  /** Orders and payments exchange events until both are final; then the amounts must balance. */
  async function settled(order: Order, mustBalance = true): Promise<"COMPLETED" | "CANCELLED"> {
    await eventually(async () => {
      await decide(order);
      const found = await load(order.id);
      const status = newestAttempt(found)?.status;
      if (pendingRefund(found)) return false;
      if (order.status === OrderStatus.COMPLETED) return isCaptured(found);
      const ends = ["VOIDED", "FAILED", "REFUNDED", undefined];
      return order.status === OrderStatus.CANCELLED && ends.includes(status);
    }, "the final state of order and payment").catch(({ message }: Error) => expect.fail(message));
    if (mustBalance) await balance(order);
    return order.status === OrderStatus.COMPLETED ? "COMPLETED" : "CANCELLED";
  }

  const pay = async (order: Order, token = "tok_visa", more: object = {}, call?: CallOptions) =>
    service.client.createPayment(
      { orderId: order.id, token, ...more },
      call ?? (await as(order.userId)),
    );

  const statuses = async (order: Order): Promise<string[]> =>
    (await load(order.id)).attempts.map(({ status }) => status);

  /** Resolves once the newest attempt has this status. */
  const attemptReaches = (order: Order, status: string): Promise<unknown> =>
    eventually(
      async () => (await statuses(order)).at(-1) === status,
      `the attempt to be ${status}`,
    );

  const eventNames = async (order: Order): Promise<string[]> =>
    (await recordedEvents(order.id)).map(({ name }) => name);

  /** The bank's page, on which the buyer answers. */
  async function bankPage(order: Order): Promise<(answer: "complete" | "fail") => Promise<void>> {
    const asking = (await stripeState(order)).intents.find(
      ({ status }) => status === "requires_action",
    );
    const page = asking?.next_action?.redirect_to_url?.url ?? "";
    return async (answer) => {
      await fetch(page, { method: "POST", body: `answer=${answer}`, redirect: "manual" });
    };
  }

  const answerBank = async (order: Order, answer: "complete" | "fail"): Promise<void> =>
    (await bankPage(order))(answer);

  // No secret of a test may appear in a log or an event.
  onTestFinished(async () => {
    const { payment_intents: intents } = (await stripeServer.control("GET", "records")) as {
      payment_intents: Stripe.PaymentIntent[];
    };
    const found = await payments.find().lean<PaymentFields[]>();
    const events = found.flatMap(({ outbox }) =>
      outbox.map(({ payload }) => payload.toString("latin1")),
    );
    const said = [JSON.stringify(lines), ...events].join("\n");
    for (const secret of [
      KEY,
      WEBHOOK_SECRET,
      "tok_",
      "pm_card_",
      "_secret_",
      "/challenge/",
      "Bearer ",
    ]) {
      expect(said.includes(secret), `a log or an event says ${secret}`).toBe(false);
    }
    const stored = JSON.stringify(found);
    for (const { client_secret: secret } of intents) {
      expect(said).not.toContain(secret);
      // This covers the address of the bank's page, which contains the secret.
      expect(stored).not.toContain(secret);
    }
  });

  return {
    ...service,
    accept,
    anOrder,
    answerBank,
    balance,
    stripeServer,
    bankPage,
    stripeState,
    buy,
    cancel,
    change,
    clock,
    decide,
    fault: (fault: StripeFault) => stripeServer.control("POST", "faults", fault),
    recordedEvents,
    hold,
    lines,
    load,
    eventNames,
    pay,
    payments,
    attemptReaches,
    settled,
    start,
    banReplica,
    statuses,
    deliver,
    deliverCodeEvent,
    webhookUrl,
    webhooks,
  };
}
export type PaymentsFixture = Awaited<ReturnType<typeof paymentsFixture>>;
