import type Stripe from "stripe";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { endpoint, errorOf, eventually, local, paid } from "../testing.ts";

const seller: Stripe.AccountCreateParams = {
  controller: {
    fees: { payer: "application" },
    losses: { payments: "application" },
    stripe_dashboard: { type: "express" },
  },
  capabilities: { transfers: { requested: true } },
  metadata: { user_id: "u1" },
};
const return_url = "http://shop.example/account?done=1";
const refresh_url = "http://shop.example/account/onboard";

const linkFor = (stripe: Stripe, account: string) =>
  stripe.accountLinks.create({ account, type: "account_onboarding", return_url, refresh_url });

/** Opens a page. Returns the address that it redirects to, and the session in its form. */
async function open(url: string) {
  const response = await fetch(url, { redirect: "manual" });
  const session = /name="session" value="([^"]+)"/.exec(await response.text())?.[1] ?? "";
  return { location: response.headers.get("location"), session };
}

async function press(url: string, answer: string, session: string) {
  const body = new URLSearchParams({ answer, session });
  const response = await fetch(url, { method: "POST", body, redirect: "manual" });
  return response.headers.get("location");
}

describe("an account", () => {
  it("can receive transfers once its owner has completed the onboarding", async () => {
    const { webhook, events } = await endpoint();
    const { stripe } = await local({ webhook });
    const { id } = await stripe.accounts.create(seller);
    expect(await stripe.accounts.retrieve(id)).toMatchObject({
      metadata: { user_id: "u1" },
      details_submitted: false,
      payouts_enabled: false,
      capabilities: { transfers: "inactive" },
      requirements: { currently_due: expect.arrayContaining(["external_account"]) },
    });
    const { url } = await linkFor(stripe, id);
    const { session } = await open(url);
    expect(await press(url, "complete", session)).toBe(return_url);
    const done = {
      id,
      details_submitted: true,
      payouts_enabled: true,
      capabilities: { transfers: "active" },
      requirements: { currently_due: [] },
    };
    expect(await stripe.accounts.retrieve(id)).toMatchObject(done);
    await eventually(() => expect(events).toHaveLength(1));
    const told = { type: "account.updated", account: id, data: { object: done } };
    expect(events[0]).toMatchObject(told);
  });

  it("does not change if its owner postpones the onboarding", async () => {
    const { stripe } = await local();
    const { id } = await stripe.accounts.create(seller);
    const { url } = await linkFor(stripe, id);
    const { session } = await open(url);
    expect(await press(url, "later", session)).toBe(return_url);
    expect((await stripe.accounts.retrieve(id)).details_submitted).toBe(false);
  });

  it("of another platform gets the same error as one that does not exist", async () => {
    const { stripe } = await local();
    const error = await errorOf(stripe.accounts.retrieve("acct_none"));
    expect(error).toMatchObject({ statusCode: 403, code: "account_invalid" });
  });
});

describe("an onboarding link", () => {
  it("can be opened once and submitted once", async () => {
    const { stripe } = await local();
    const { id } = await stripe.accounts.create(seller);
    const { url } = await linkFor(stripe, id);
    expect(await press(url, "complete", "")).toBe(refresh_url);
    const { session } = await open(url);
    expect((await open(url)).location).toBe(refresh_url);
    expect(await press(url, "complete", `${session}x`)).toBe(refresh_url);
    expect(await press(url, "later", session)).toBe(return_url);
    expect(await press(url, "complete", session)).toBe(refresh_url);
    expect((await stripe.accounts.retrieve(id)).details_submitted).toBe(false);
  });

  it("expires after five minutes", async () => {
    const { stripe } = await local();
    const { id } = await stripe.accounts.create(seller);
    const { url, created, expires_at } = await linkFor(stripe, id);
    expect(expires_at - created).toBe(300);
    vi.useFakeTimers({ toFake: ["Date"], now: expires_at * 1000 });
    onTestFinished(() => void vi.useRealTimers());
    expect((await open(url)).location).toBe(refresh_url);
  });

  it("requires a return URL, a refresh URL and an account", async () => {
    const { stripe } = await local();
    const { id: account } = await stripe.accounts.create(seller);
    const type = "account_onboarding";
    const one = await errorOf(stripe.accountLinks.create({ account, type, return_url }));
    expect(one).toMatchObject({ code: "parameter_missing", param: "refresh_url" });
    const none = await errorOf(linkFor(stripe, "acct_none"));
    expect(none).toMatchObject({ code: "resource_missing", param: "account" });
  });
});

describe("a transfer", () => {
  async function onboarded() {
    const stripeFixture = await local();
    const { id: destination } = await stripeFixture.stripe.accounts.create(seller);
    await stripeFixture.callTestApi("POST", `accounts/${destination}`, { status: "active" });
    return { ...stripeFixture, destination };
  }

  it("pays an account, and is listed by its transfer group and its destination", async () => {
    const { stripe, destination } = await onboarded();
    await paid(stripe);
    const params = { destination, currency: "usd", transfer_group: "p1", metadata: { p: "p1" } };
    const made = await stripe.transfers.create({ ...params, amount: 1899 });
    expect(made).toMatchObject({ ...params, amount: 1899 });
    expect(await stripe.transfers.retrieve(made.id)).toMatchObject({ ...params });
    const { id } = made;
    for (const filter of [{ transfer_group: "p1" }, { destination }]) {
      expect((await stripe.transfers.list(filter)).data).toMatchObject([{ id }]);
    }
    expect((await stripe.transfers.list({ transfer_group: "p2" })).data).toEqual([]);
    expect((await stripe.events.list({ type: "transfer.created" })).data).toHaveLength(1);
  });

  it("cannot exceed the platform's balance in its currency", async () => {
    const { stripe, callTestApi, destination } = await onboarded();
    const payment_intent = await paid(stripe);
    const pay = (amount: number, currency = "usd") =>
      stripe.transfers.create({ amount, currency, destination });
    const poor = { statusCode: 400, code: "balance_insufficient" };
    expect(await errorOf(pay(2000))).toMatchObject(poor);
    expect(await errorOf(pay(1, "eur"))).toMatchObject(poor);
    await pay(500);
    await stripe.refunds.create({ payment_intent, amount: 500 });
    expect(await errorOf(pay(1000))).toMatchObject(poor);
    await callTestApi("POST", "disputes", { payment_intent, amount: 499 });
    expect(await errorOf(pay(501))).toMatchObject(poor);
    expect((await pay(500)).amount).toBe(500);
  });

  it("requires an account that can receive transfers", async () => {
    const { stripe, callTestApi, destination } = await onboarded();
    await paid(stripe);
    const pay = (to: string) =>
      errorOf(stripe.transfers.create({ amount: 1, currency: "usd", destination: to }));
    const unable = { statusCode: 400, code: "insufficient_capabilities_for_transfer" };
    expect(await pay("acct_none")).toMatchObject({ param: "destination" });
    expect(await pay((await stripe.accounts.create(seller)).id)).toMatchObject(unable);
    await callTestApi("POST", `accounts/${destination}`, { status: "restricted" });
    expect(await pay(destination)).toMatchObject(unable);
  });
});
