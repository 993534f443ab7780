import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { endpoint, errorOf, eventually, folder, local, paid, intentParams } from "../testing.ts";

describe("webhooks", () => {
  it("report each step, signed, with the state of the object at that time", async () => {
    const { webhook, events, types } = await endpoint();
    const { stripe } = await local({ webhook });
    const { id } = await stripe.paymentIntents.create(intentParams, { idempotencyKey: "k1" });
    await stripe.paymentIntents.confirm(id, { payment_method: "pm_card_visa" });
    await stripe.paymentIntents.capture(id);
    await stripe.refunds.create({ payment_intent: id });
    await eventually(() =>
      expect(types().sort()).toEqual([
        "charge.captured",
        "charge.refunded",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.created",
        "payment_intent.succeeded",
        "refund.created",
      ]),
    );
    const created = events.find(({ type }) => type === "payment_intent.created");
    expect(created).toMatchObject({
      request: { idempotency_key: "k1" },
      data: { object: { id, status: "requires_payment_method" } },
    });
  });

  it("report failures and cancellations", async () => {
    const { webhook, types } = await endpoint();
    const { stripe } = await local({ webhook });
    const { id } = await stripe.paymentIntents.create(intentParams);
    const declined = { payment_method: "pm_card_visa_chargeDeclined" };
    await errorOf(stripe.paymentIntents.confirm(id, declined));
    await stripe.paymentIntents.confirm(id, { payment_method: "pm_card_threeDSecure2Required" });
    await stripe.paymentIntents.cancel(id);
    await eventually(() =>
      expect(types().sort()).toEqual([
        "charge.failed",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
      ]),
    );
  });

  it("are retried until the endpoint accepts them", async () => {
    const { webhook, events, answers } = await endpoint();
    answers.push(500, 302, 404);
    const { stripe } = await local({ webhook });
    await stripe.paymentIntents.create(intentParams);
    await eventually(() => expect(events).toHaveLength(4));
    expect(new Set(events.map(({ id }) => id)).size).toBe(1);
    await eventually(async () => expect(await pending(stripe)).toEqual([0]));
  });

  it("are sent after a restart if they were not delivered before", async () => {
    const dir = folder();
    const { webhook, events } = await endpoint();
    const first = await local({ webhook, dir });
    await first.callTestApi("PUT", "webhooks", { off: true });
    await first.stripe.paymentIntents.create(intentParams);
    await first.close();
    expect(events).toEqual([]);
    await local({ webhook, dir });
    await eventually(() => expect(events).toHaveLength(1));
  });

  it("can be held back, duplicated, delayed and reordered", async () => {
    const { webhook, events } = await endpoint();
    const { stripe, callTestApi } = await local({ webhook });
    await callTestApi("PUT", "webhooks", { off: true });
    for (let i = 0; i < 3; i++) await stripe.paymentIntents.create(intentParams);
    expect(events).toEqual([]);
    await callTestApi("PUT", "webhooks", { duplicate: true, shuffle: true, delay: 50 });
    await eventually(() => expect(events).toHaveLength(6));
    expect(new Set(events.map(({ id }) => id)).size).toBe(3);
  });
});

describe("the endpoint", () => {
  it("is listed with its subscriptions, by default all events", async () => {
    const { webhook } = await endpoint();
    const { stripe, callTestApi } = await local({ webhook });
    const list = async () => (await stripe.webhookEndpoints.list()).data;
    const own = (await list()).filter(({ application }) => application === null);
    const [all] = own;
    expect(all).toMatchObject({ url: webhook.url, status: "enabled", enabled_events: ["*"] });
    expect([all?.id, all?.api_version]).toEqual([
      expect.stringMatching(/^we_/),
      stripe.getApiField("version"),
    ]);
    // Events of connected accounts have a separate endpoint at the same address.
    const connect = (await list()).filter(({ application }) => application !== null);
    expect([own.length, connect]).toMatchObject([1, [{ url: webhook.url }]]);
    await callTestApi("PUT", "webhooks", { events: ["charge.captured"] });
    expect(await list()).toMatchObject([{ id: all?.id, enabled_events: ["charge.captured"] }]);
  });

  it("is not listed if none is configured", async () => {
    const { stripe } = await local();
    expect((await stripe.webhookEndpoints.list()).data).toEqual([]);
  });

  it("receives only the events that it subscribes to", async () => {
    const { webhook, types } = await endpoint();
    const { stripe, callTestApi } = await local({ webhook });
    await callTestApi("PUT", "webhooks", { events: ["charge.captured", "refund.created"] });
    await stripe.refunds.create({ payment_intent: await paid(stripe) });
    await eventually(() => expect(types().sort()).toEqual(["charge.captured", "refund.created"]));
    await eventually(async () => expect(new Set(await pending(stripe))).toEqual(new Set([0])));
    expect(types()).toHaveLength(2);
  });

  it("receives an old event again if the test API replays it", async () => {
    const { webhook, events } = await endpoint();
    const { stripe, callTestApi } = await local({ webhook });
    await stripe.paymentIntents.create(intentParams);
    await eventually(() => expect(events).toHaveLength(1));
    await callTestApi("PUT", "webhooks", { off: true });
    await callTestApi("POST", `events/${events[0]?.id}`);
    await eventually(() => expect(events).toHaveLength(2));
    expect(events[1]?.id).toBe(events[0]?.id);
    await expect(callTestApi("POST", "events/evt_none")).rejects.toThrow("No such event");
  });
});

describe("the list of events", () => {
  it("is stored without an endpoint, and filtered by type and time", async () => {
    const { stripe } = await local();
    await stripe.paymentIntents.create({
      ...intentParams,
      payment_method: "pm_card_visa",
      confirm: true,
    });
    const types = ["payment_intent.created", "charge.succeeded"];
    const { data } = await stripe.events.list({ types, created: { gte: 0 } });
    expect(data.map(({ type }) => type)).toEqual(types.toReversed());
    const [one] = (await stripe.events.list({ type: "charge.succeeded" })).data;
    expect(await stripe.events.retrieve(String(one?.id))).toMatchObject({ ...one });
    expect((await stripe.events.list({ created: { lt: 1 } })).data).toEqual([]);
  });
});

async function pending(stripe: Stripe): Promise<number[]> {
  const { data } = await stripe.events.list();
  return data.map(({ pending_webhooks }) => pending_webhooks);
}
