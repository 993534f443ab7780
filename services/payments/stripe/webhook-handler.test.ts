import { request } from "node:http";
import { CancelReason, OrderStatus } from "@ticketing/proto/orders/v1/order";
import Stripe from "stripe";
import { describe, expect, it, onTestFinished } from "vitest";
import { HealthState } from "#runtime/rpc/health.ts";
import { serveHttp } from "#runtime/lifecycle/http.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { as } from "#runtime/testing/tokens.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { recordedLog, silentLog } from "#runtime/testing/log.ts";
import { testDatabaseUri } from "#runtime/testing/database.ts";
import { completedOrder, stripeIdOf } from "../testing/refunds.ts";
import { fastRetryStripe, WEBHOOK_SECRET, crashingStripe } from "../testing/stripe-fixture.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";
import { stripeWebhook } from "./webhook-handler.ts";
import { paymentListener } from "../settlement/payment-listener.ts";
import { webhookModel } from "./webhook.ts";
import { storeWebhook, type WebhookListener } from "./webhook-inbox.ts";
import { paymentModel } from "../payment-model.ts";

const now = (): number => Math.floor(Date.now() / 1000);

/** A signature as Stripe makes it. */
const sign = (body: string, secret = WEBHOOK_SECRET, timestamp = now()): string =>
  Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp });

const post = async (url: string, body: string, signature?: string): Promise<number> => {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (signature !== undefined) headers["stripe-signature"] = signature;
  return (await fetch(url, { method: "POST", headers, body })).status;
};

/** An event of this order's intent. */
const eventOf = (orderId: string, change: object = {}): string =>
  JSON.stringify({
    id: "evt_1",
    object: "event",
    type: "payment_intent.amount_capturable_updated",
    data: { object: { id: "pi_1", object: "payment_intent", metadata: { order_id: orderId } } },
    ...change,
  });

/** A payment whose buyer has passed 3-D Secure; only Stripe knows it so far. */
async function passed(fixture: PaymentsFixture) {
  const order = await fixture.buy();
  await fixture.pay(order, "tok_threeDSecure2Required");
  await fixture.answerBank(order, "complete");
  return order;
}

describe("a webhook", () => {
  it("is stored by its id, and leads to a poll of Stripe", async () => {
    const fixture = await paymentsFixture();
    const order = await passed(fixture);
    const body = eventOf(order.id);
    expect(await post(fixture.webhookUrl, body, sign(body))).toBe(200);
    expect(await fixture.webhooks.find().lean()).toMatchObject([
      { _id: "evt_1", type: "payment_intent.amount_capturable_updated", subject: order.id },
    ]);
    await fixture.attemptReaches(order, "AUTHORIZED");
  });

  it("only leads to a poll: its content does not change the payment (P15)", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, "tok_threeDSecure2Required");
    const metadata = { order_id: order.id };
    const data = {
      object: { id: "pi_1", object: "payment_intent", status: "succeeded", metadata },
    };
    const body = eventOf(order.id, { type: "payment_intent.succeeded", data });
    expect(await post(fixture.webhookUrl, body, sign(body))).toBe(200);
    await fixture.settler.close(); // All work that has begun is finished.
    expect(await fixture.statuses(order)).toEqual(["REQUIRES_ACTION"]);
    expect(await fixture.eventNames(order)).toEqual(["PaymentActionRequired"]);
  });

  const body = eventOf("0198b6a1-0000-7000-8000-000000000000");
  const [time = "", v1 = ""] = sign(body).split(",");
  it.each([
    ["without a signature", body, undefined],
    ["with an empty signature", body, ""],
    ["with a malformed signature", body, "garbage"],
    ["signed with another secret", body, sign(body, "whsec_of_somebody_else")],
    ["signed 301 seconds ago", body, sign(body, WEBHOOK_SECRET, now() - 301)],
    ["signed a day ago", body, sign(body, WEBHOOK_SECRET, now() - 86_400)],
    ["whose time was changed", body, `t=${Number(time.slice(2)) - 1},${v1}`],
    ["whose body was changed", body.replace("evt_1", "evt_2"), sign(body)],
    ["whose body was reserialized", JSON.stringify(JSON.parse(body), null, 1), sign(body)],
    ["with only a signature of the old scheme", body, `${time},${v1.replace("v1", "v0")}`],
    ["with an empty body and a valid signature", "", sign(body)],
  ])("%s is refused, and nothing is stored", async (_, sent, signature) => {
    const fixture = await paymentsFixture();
    expect(await post(fixture.webhookUrl, sent, signature)).toBe(400);
    expect(await fixture.webhooks.countDocuments()).toBe(0);
    expect(fixture.lines).toContainEqual(
      expect.objectContaining({ msg: "a webhook with an invalid signature was refused" }),
    );
  });

  const order_id = "0198b6a1-0000-7000-8000-000000000000";
  const object = { id: "pi_1", metadata: { order_id } };
  const anything = { $ne: null };
  it.each([
    ["its id", { id: anything }],
    ["its id, a list", { id: ["evt_1"] }],
    ["its id, an empty string", { id: "" }],
    ["its type", { type: anything }],
    ["its data", { data: "pi_1" }],
    ["its object", { data: { object: null } }],
    ["the order", { data: { object: { ...object, metadata: { order_id: anything } } } }],
    ["the order, a number", { data: { object: { ...object, metadata: { order_id: 7 } } } }],
    ["the metadata", { data: { object: { ...object, metadata: "order" } } }],
    ["the intent", { data: { object: { payment_intent: anything } } }],
    ["the intent, a list", { data: { object: { payment_intent: ["pi_1"] } } }],
  ])("with a malformed value for %s is refused, even with a valid signature", async (_, change) => {
    const fixture = await paymentsFixture();
    const sent = eventOf(order_id, change);
    expect(await post(fixture.webhookUrl, sent, sign(sent))).toBe(400);
    expect(await fixture.webhooks.countDocuments()).toBe(0);
    expect(fixture.lines.filter(({ msg }) => msg === "request failed")).toEqual([]);
  });

  it("with a malformed account id is refused before it is used in a query", async () => {
    const { webhooks } = await paymentsFixture();
    const looked: unknown[] = [];
    const listener: WebhookListener = {
      accepts: (type) => type === "account.updated",
      subjectOf: async (about) => void looked.push(about),
      enqueue: () => undefined,
    };
    for (const id of [anything, ["acct_1"], 7, {}]) {
      const event = { id: "evt_1", type: "account.updated", data: { object: { id } } };
      expect(await storeWebhook({ webhooks, listeners: [listener] }, event)).toBe(false);
    }
    expect(looked).toEqual([]);
  });

  it("of a type without a listener is ignored, whatever it contains", async () => {
    const fixture = await paymentsFixture();
    const sent = eventOf(order_id, { type: "invoice.paid", data: { object: { metadata: 7 } } });
    expect(await post(fixture.webhookUrl, sent, sign(sent))).toBe(200);
    expect(await fixture.webhooks.countDocuments()).toBe(0);
  });

  it.each([
    ["signed 290 seconds ago", () => sign(body, WEBHOOK_SECRET, now() - 290)],
    [
      "signed with the old and the new secret while the secret is rolled",
      () => `${sign(body, "whsec_of_before")},${sign(body).split(",")[1]}`,
    ],
  ])("%s is accepted", async (_, signature) => {
    const fixture = await paymentsFixture();
    expect(await post(fixture.webhookUrl, body, signature())).toBe(200);
    expect(await fixture.webhooks.countDocuments()).toBe(1);
  });

  it.each(["whsec_of_before", WEBHOOK_SECRET, "whsec_of_connect"])(
    "signed with any of the endpoints' secrets is accepted: %s",
    async (secret) => {
      const fixture = await paymentsFixture({
        secrets: ["whsec_of_before", WEBHOOK_SECRET, "whsec_of_connect"],
      });
      expect(await post(fixture.webhookUrl, body, sign(body, secret))).toBe(200);
      expect(await post(fixture.webhookUrl, body, sign(body, "whsec_of_nobody"))).toBe(400);
      expect(await post(fixture.webhookUrl, body, sign(body, secret, now() - 301))).toBe(400);
      expect(await fixture.webhooks.countDocuments()).toBe(1);
    },
  );

  it("that is delivered a thousand times is stored once, and has one effect", async () => {
    const fixture = await paymentsFixture();
    const order = await passed(fixture);
    const again = eventOf(order.id);
    for (let round = 0; round < 20; round += 1) {
      const sent = Array.from({ length: 50 }, () => post(fixture.webhookUrl, again, sign(again)));
      expect(new Set(await Promise.all(sent))).toEqual(new Set([200]));
    }
    expect(await fixture.webhooks.countDocuments()).toBe(1);
    expect(await fixture.settled(order)).toBe("COMPLETED");
    expect(await fixture.eventNames(order)).toEqual([
      "PaymentActionRequired",
      "PaymentAuthorized",
      "ChargeCreated",
    ]);
  }, 120_000);

  it.each([
    ["without metadata", {}],
    ["with null metadata", { metadata: null }],
    ["with other metadata", { metadata: { invoice: "7" } }],
  ])("of another application, %s, is acknowledged and ignored", async (_, object) => {
    const fixture = await paymentsFixture();
    const other = eventOf("", { type: "charge.succeeded", data: { object } });
    expect(await post(fixture.webhookUrl, other, sign(other))).toBe(200);
    expect(await fixture.webhooks.countDocuments()).toBe(0);
  });

  it("of an unused type is acknowledged and ignored", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const other = eventOf(order.id, { type: "charge.updated" });
    expect(await post(fixture.webhookUrl, other, sign(other))).toBe(200);
    expect(await fixture.webhooks.countDocuments()).toBe(0);
  });

  it("about an unknown order changes nothing", async () => {
    const fixture = await paymentsFixture();
    expect(await post(fixture.webhookUrl, body, sign(body))).toBe(200);
    await fixture.settler.close();
    expect(await fixture.payments.countDocuments()).toBe(0);
  });

  it("that is too large is refused before its body is read completely", async () => {
    const fixture = await paymentsFixture();
    const large = eventOf("x", { padding: "x".repeat(256 * 1024) });
    expect(await post(fixture.webhookUrl, large, sign(large))).toBe(413);
    const status = await new Promise((resolve, reject) => {
      const req = request(fixture.webhookUrl, { method: "POST" }, (res) => {
        req.destroy();
        resolve(res.statusCode);
      });
      req.on("error", reject);
      const more = (): void => void (req.destroyed || req.write("x".repeat(65_536), more));
      more(); // Chunked and endless: no header gives its size.
    });
    expect(status).toBe(413);
    const nearly = eventOf("x", { padding: "x".repeat(250 * 1024) });
    expect(await post(fixture.webhookUrl, nearly, sign(nearly))).toBe(200);
  });

  it("that cannot be stored is not acknowledged, so that Stripe retries it", async () => {
    const fixture = await paymentsFixture();
    const { log, lines } = recordedLog();
    const gone = await connectDatabase(testDatabaseUri(), silentLog);
    await gone.close();
    const asked: string[] = [];
    const handler = stripeWebhook({
      webhooks: webhookModel(gone),
      stripe: fixture.deps.stripe,
      secrets: [WEBHOOK_SECRET],
      listeners: [
        paymentListener(paymentModel(gone), { enqueuePoll: (id) => void asked.push(id) }),
      ],
      log,
    });
    const { port, close } = await serveHttp({
      service: "payments",
      host: "127.0.0.1",
      port: 0,
      routes: new Map([["POST /webhooks/stripe", handler]]),
      health: new HealthState(),
      log,
    });
    onTestFinished(close);
    expect(await post(`http://127.0.0.1:${port}/webhooks/stripe`, body, sign(body))).toBe(503);
    expect(asked).toEqual([]);
    expect(lines.map(({ msg }) => msg)).toEqual([
      "a webhook could not be stored; Stripe retries it",
    ]);
  });
});

describe("an event of Stripe", () => {
  it("may arrive before the answer to our own request", async () => {
    const fixture = await paymentsFixture({ webhooks: true });
    const order = await fixture.buy();
    const { stripe, died } = crashingStripe(
      fastRetryStripe(fixture.stripeServer.base),
      "confirm",
      "after",
    );
    const { client } = fixture.start(stripe);
    void client.createPayment({ orderId: order.id, token: "tok_visa" }, await as("ann"));
    await died;
    fixture.start(); // A running process receives the webhooks.
    await fixture.attemptReaches(order, "AUTHORIZED");
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("may arrive before its intent's id is stored", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { stripe, died } = crashingStripe(
      fastRetryStripe(fixture.stripeServer.base),
      "create",
      "after",
    );
    const { client } = fixture.start(stripe);
    void client.createPayment({ orderId: order.id, token: "tok_visa" }, await as("ann"));
    await died;
    const { settler } = fixture.start();
    const body = eventOf(order.id, { type: "payment_intent.created" });
    expect(await post(fixture.webhookUrl, body, sign(body))).toBe(200);
    await settler.close();
    expect(await fixture.statuses(order)).toEqual(["PENDING"]);
  });

  it("may arrive late, twice and out of order (P16)", async () => {
    const fixture = await paymentsFixture({ webhooks: true });
    await fixture.stripeServer.control("PUT", "webhooks", {
      duplicate: true,
      shuffle: true,
      delay: 50,
    });
    const orders = await Promise.all(Array.from({ length: 10 }, () => fixture.buy()));
    await Promise.all(
      orders.map(async (order, i) => {
        await fixture.pay(order, i % 2 === 0 ? "tok_visa" : "tok_threeDSecure2Required");
        if (i % 2 === 1) await fixture.answerBank(order, "complete");
        expect(await fixture.settled(order)).toBe("COMPLETED");
      }),
    );
  });

  it.each(["refund", "dispute"])(
    "survives a crash: a %s of a settled payment is not lost",
    async (what) => {
      const fixture = await paymentsFixture();
      const order = await completedOrder(fixture);
      await fixture.settler.close();
      const { stripe } = crashingStripe(
        fastRetryStripe(fixture.stripeServer.base),
        "list",
        "before",
      );
      const first = fixture.start(stripe);
      const stripeId = await stripeIdOf(fixture, order);
      if (what === "dispute")
        await fixture.stripeServer.control("POST", "disputes", { payment_intent: stripeId });
      else
        await fastRetryStripe(fixture.stripeServer.base).refunds.create({
          payment_intent: stripeId,
        });
      const type = what === "dispute" ? "charge.dispute.created" : "refund.created";
      const object = { payment_intent: stripeId };
      const body = eventOf(order.id, { type, data: { object } });
      expect(await post(fixture.webhookUrl, body, sign(body))).toBe(200);
      expect(await fixture.webhooks.findById("evt_1").lean()).not.toHaveProperty("handledAt");
      void first; // The process has crashed, and its memory is lost.

      const second = fixture.start();
      await second.settler.reconcile();
      // As stored here, the payment is in its final state.
      expect((await fixture.load(order.id)).refunds).toEqual([]);
      await second.askAgain(); // The first process may still be working on it.
      expect(await fixture.webhooks.findById("evt_1").lean()).not.toHaveProperty("handledAt");
      fixture.clock.ahead += 61_000;
      await second.askAgain();
      await eventually(
        async () => (await fixture.webhooks.findById("evt_1"))?.handledAt,
        "the webhook to be handled",
      );
      const { dispute, refunds } = await fixture.load(order.id);
      expect(what === "dispute" ? dispute?.status : refunds[0]?.status).toBe(
        what === "dispute" ? "OPEN" : "SUCCEEDED",
      );
    },
  );

  it("is retried until Stripe has answered the poll", async () => {
    const fixture = await paymentsFixture({ webhooks: true });
    const order = await completedOrder(fixture);
    await fixture.fault({ method: "GET", path: "/v1/refunds", fail: 500, times: 7 });
    await fastRetryStripe(fixture.stripeServer.base).refunds.create({
      payment_intent: await stripeIdOf(fixture, order),
    });
    await fixture.attemptReaches(order, "REFUNDED");
    await eventually(
      async () => (await fixture.webhooks.countDocuments({ handledAt: null })) === 0,
      "all webhooks to be handled",
    );
  });

  it("needs no metadata of ours: its payment is found by the intent", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    const object = { payment_intent: await stripeIdOf(fixture, order), metadata: {} };
    const body = eventOf("", { type: "charge.dispute.created", data: { object } });
    expect(await post(fixture.webhookUrl, body, sign(body))).toBe(200);
    expect(await fixture.webhooks.find().lean()).toMatchObject([{ subject: order.id }]);
  });

  it("is not necessary for a payment by card", async () => {
    const fixture = await paymentsFixture({ webhooks: true });
    await fixture.stripeServer.control("PUT", "webhooks", { off: true });
    const order = await fixture.buy();
    await fixture.pay(order);
    expect(await fixture.settled(order)).toBe("COMPLETED");
    expect(await fixture.webhooks.countDocuments()).toBe(0);
  });

  it("of a full refund in the Dashboard cancels the order", async () => {
    const fixture = await paymentsFixture({ webhooks: true });
    const order = await fixture.buy();
    const { payment } = await fixture.pay(order);
    await fixture.settled(order);
    const stripe = fastRetryStripe(fixture.stripeServer.base);
    await stripe.refunds.create({ payment_intent: payment!.stripeId, amount: 1000 });
    await stripe.refunds.create({ payment_intent: payment!.stripeId });
    await fixture.attemptReaches(order, "REFUNDED");
    await fixture.decide(order);
    expect(order).toMatchObject({
      status: OrderStatus.CANCELLED,
      cancelReason: CancelReason.REFUNDED,
    });
    expect(await fixture.eventNames(order)).toEqual([
      "PaymentAuthorized",
      "ChargeCreated",
      "ChargeRefunded",
      "ChargeRefunded",
    ]);
    await fixture.balance(order);
  });

  it("of a partial refund in the Dashboard is recorded, and the buyer keeps the ticket", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const { payment } = await fixture.pay(order);
    await fixture.settled(order);
    const part = { payment_intent: payment!.stripeId, amount: 1000 };
    await fastRetryStripe(fixture.stripeServer.base).refunds.create(part);
    const body = eventOf(order.id, { type: "charge.refunded" });
    expect(await post(fixture.webhookUrl, body, sign(body))).toBe(200);
    await fixture.attemptReaches(order, "PARTLY_REFUNDED");
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });
});

describe("an event without a webhook", () => {
  it("of a settled payment is found in Stripe's event list", async () => {
    const fixture = await paymentsFixture();
    const [disputed, returned] = [await completedOrder(fixture), await completedOrder(fixture)];
    const payment_intent = await stripeIdOf(fixture, disputed);
    await fixture.stripeServer.control("POST", "disputes", { payment_intent });
    const refunded = { payment_intent: await stripeIdOf(fixture, returned) };
    await fastRetryStripe(fixture.stripeServer.base).refunds.create(refunded);
    await fixture.catchUp();
    await fixture.attemptReaches(returned, "REFUNDED");
    const status = async () => (await fixture.load(disputed.id)).dispute?.status === "OPEN";
    await eventually(status, "the dispute to be stored");
    const stored = await fixture.webhooks.countDocuments();
    await fixture.catchUp();
    expect(await fixture.webhooks.countDocuments()).toBe(stored);
  });
});
