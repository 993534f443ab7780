import { Code } from "@connectrpc/connect";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { OnboardingStatus, PayoutStatus } from "@ticketing/proto/payments/v1/seller_service";
import { describe, expect, it } from "vitest";
import { toMoney } from "#runtime/values/money.ts";
import { as } from "#runtime/testing/tokens.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { silentLog } from "#runtime/testing/log.ts";
import type { PayoutAccounts } from "../stripe/payout-accounts.ts";
import { accountListener } from "./account-listener.ts";
import { createOnboardingLink } from "./seller.ts";
import {
  DAY_MS,
  payoutsFixture,
  PUBLIC_URL,
  type PayoutsFixture,
} from "../testing/payouts-fixture.ts";
import { webhookModel } from "../stripe/webhook.ts";

const EUR = (amount: number) => toMoney({ amount, currency: "EUR" });

/** All pages of a list of sales or payouts, by the last digits of their ids. */
async function pages(
  { client }: PayoutsFixture,
  method: "listSales" | "listPayouts",
  pageSize: number,
  who = "sam",
): Promise<string[][]> {
  const found: string[][] = [];
  for (let pageToken = ""; found.length === 0 || pageToken !== "";) {
    const request = { pageSize, pageToken };
    const page = await client[method](request, await as(who));
    found.push(
      "sales" in page
        ? page.sales.map(({ payment }) => payment?.orderId ?? "")
        : page.payouts.map(({ id }) => id),
    );
    pageToken = page.nextPageToken;
  }
  return found;
}

describe("a seller's earnings", () => {
  it("are returned by currency, with the fee and the status of the account", async () => {
    const fixture = await payoutsFixture();
    const { client } = fixture;
    const ask = async () => client.getEarnings({}, await as("sam"));
    expect(await ask()).toMatchObject({
      earnings: [],
      onboarding: OnboardingStatus.UNSPECIFIED,
      feeBps: 500,
    });
    await fixture.sell({ eventDaysAgo: 2 });
    await fixture.sell({ eventDaysAgo: -2, price: 2_000 });
    await createOnboardingLink(fixture.deps, "sam");
    expect((await ask()).onboarding).toBe(OnboardingStatus.INCOMPLETE);
    // The seller returns from Stripe's page and reads their earnings.
    await fixture.setAccountStatus("active");
    fixture.clock.ahead = 3_000;
    expect(await ask()).toMatchObject({
      earnings: [{ held: EUR(1_900), available: EUR(9_500), paidOut: EUR(0) }],
      onboarding: OnboardingStatus.COMPLETE,
    });
    await fixture.start().sweep();
    expect((await ask()).earnings).toMatchObject([{ available: EUR(0), paidOut: EUR(9_500) }]);
  });

  it("are returned even if Stripe does not answer", async () => {
    const fixture = await payoutsFixture();
    await createOnboardingLink(fixture.deps, "sam");
    fixture.clock.ahead = 3_000;
    await fixture.fault({ path: "/v1/accounts", fail: 500, times: 3 });
    const { onboarding } = await fixture.client.getEarnings({}, await as("sam"));
    expect(onboarding).toBe(OnboardingStatus.INCOMPLETE);
  });
});

describe("a seller's sales", () => {
  it("are returned with the captured amount, the earnings and when they become available", async () => {
    const fixture = await payoutsFixture();
    const id = await fixture.sell({ eventDaysAgo: -2, title: "Front row" });
    await fixture.refund(id, 4_000);
    const { sales } = await fixture.client.listSales({}, await as("sam"));
    expect(sales).toMatchObject([
      {
        payment: {
          ...{ orderId: id, title: "Front row", amount: EUR(10_000) },
          ...{ refundedAmount: EUR(4_000), sellerId: "sam" },
          // Fields that are only for the buyer.
          ...{ userId: "", stripeId: "", attemptId: "", attempts: [], refunds: [] },
        },
        fee: EUR(300),
        earned: EUR(5_700),
      },
    ]);
    const [sale] = sales;
    const begins = timestampDate(sale!.refundableUntil!).getTime();
    expect(timestampDate(sale!.availableTime!).getTime() - begins).toBe(DAY_MS);
  });

  it("without a date are refundable for 14 days, and available after them", async () => {
    const fixture = await payoutsFixture();
    await fixture.sell();
    const { sales } = await fixture.client.listSales({}, await as("sam"));
    const { payment, availableTime, refundableUntil } = sales[0]!;
    expect(refundableUntil).toEqual(availableTime);
    const taken = timestampDate(payment!.captureTime!).getTime();
    expect(timestampDate(availableTime!).getTime() - taken).toBe(14 * DAY_MS);
  });

  it("are listed newest first, each once across pages, even with equal times", async () => {
    const fixture = await payoutsFixture();
    const ids: string[] = [];
    for (const daysAgo of [4, 3, 2, 2, 2, 1]) ids.unshift(await fixture.sell({ daysAgo }));
    const moment = new Date(fixture.deps.now() - 2 * DAY_MS);
    const together = { _id: { $in: ids.slice(1, 4) } };
    await fixture.payments.updateMany(together, { captureTime: moment });
    const found = await pages(fixture, "listSales", 2);
    expect(found.map(({ length }) => length)).toEqual([2, 2, 2]);
    expect(found.flat()).toEqual(ids);
  });
});

describe("a seller's payouts", () => {
  it("are listed newest first, in pages, with their status", async () => {
    const fixture = await payoutsFixture();
    await fixture.onboardSeller();
    for (let i = 0; i < 3; i += 1) {
      await fixture.sell({ eventDaysAgo: 2 });
      await fixture.start().sweep();
      fixture.clock.ahead += 1_000;
    }
    await fixture.setAccountStatus("restricted");
    await fixture.sell({ eventDaysAgo: 2, price: 2_000 });
    await fixture.start().sweep();
    const { payouts } = await fixture.client.listPayouts({ pageSize: 1 }, await as("sam"));
    expect(payouts).toMatchObject([
      { id: "sam:EUR:4", amount: EUR(1_900), status: PayoutStatus.FAILED },
    ]);
    const [failed, paid] = (await fixture.client.listPayouts({}, await as("sam"))).payouts;
    expect(failed).toMatchObject({ failureCode: expect.stringMatching(/./), transferId: "" });
    expect(paid).toMatchObject({ failureCode: "", transferId: expect.stringMatching(/^tr_/) });
    const { payoutAccount } = await fixture.client.getEarnings({}, await as("sam"));
    expect(payoutAccount?.id).toBe(paid?.accountId);
    expect(await pages(fixture, "listPayouts", 2)).toEqual([
      ["sam:EUR:4", "sam:EUR:3"],
      ["sam:EUR:2", "sam:EUR:1"],
    ]);
  });
});

it("the earnings of one seller are hidden from everyone else", async () => {
  const fixture = await payoutsFixture();
  await fixture.onboardSeller();
  for (let i = 0; i < 3; i += 1) {
    await fixture.sell({ eventDaysAgo: 2 });
    await fixture.start().sweep();
    fixture.clock.ahead += 1_000;
  }
  // This includes buyers and administrators, because these calls return the caller's own data.
  for (const caller of [await as("eve"), await as("ann"), await as("root", "administrator")]) {
    expect(await fixture.client.getEarnings({}, caller)).toMatchObject({
      earnings: [],
      onboarding: OnboardingStatus.UNSPECIFIED,
    });
    expect((await fixture.client.listSales({}, caller)).sales).toEqual([]);
    expect((await fixture.client.listPayouts({}, caller)).payouts).toEqual([]);
    for (const method of ["listSales", "listPayouts"] as const) {
      const { nextPageToken } = await fixture.client[method]({ pageSize: 2 }, await as("sam"));
      const theirs = fixture.client[method]({ pageSize: 2, pageToken: nextPageToken }, caller);
      const wrong = { code: Code.InvalidArgument, violations: ["page_token"] };
      expect(await refusal(theirs)).toMatchObject(wrong);
    }
  }
  for (const method of ["getEarnings", "listSales", "listPayouts", "startOnboarding"] as const) {
    expect(await refusal(fixture.client[method]({}))).toMatchObject({ reason: "UNAUTHENTICATED" });
  }
});

describe("onboarding", () => {
  it("links to Stripe's page and back, and creates one account however often it begins", async () => {
    const fixture = await payoutsFixture();
    const begin = async () => (await fixture.client.startOnboarding({}, await as("sam"))).url;
    await Promise.all([begin(), begin(), begin()]);
    const page = await (await fetch(await begin())).text();
    const session = /name="session" value="(\w+)"/.exec(page)?.[1];
    expect(session).toBeDefined();
    const { accountId } = await fixture.account();
    const { data: accounts } = await fixture.stripe.accounts.list();
    expect(accounts.map(({ id, metadata }) => [id, metadata?.["user_id"]])).toEqual([
      [accountId, "sam"],
    ]);
    const again = await fetch(await begin(), { redirect: "manual" });
    expect(again.status).toBe(200);
  });

  it("uses one account for two concurrent calls, even if Stripe has created two", async () => {
    const fixture = await payoutsFixture();
    const both = Promise.withResolvers<void>();
    let asked = 0;
    const accounts: PayoutAccounts = {
      ...fixture.deps.accounts,
      async createAccount(sellerId) {
        if ((asked += 1) === 2) both.resolve();
        await both.promise;
        fixture.clock.ahead += 600_000; // With another idempotency key.
        return fixture.deps.accounts.createAccount(sellerId);
      },
      createOnboardingLink: (accountId) => Promise.resolve(accountId),
    };
    const deps = { ...fixture.deps, accounts };
    const [one, other] = await Promise.all([
      createOnboardingLink(deps, "sam"),
      createOnboardingLink(deps, "sam"),
    ]);
    expect((await fixture.stripe.accounts.list()).data).toHaveLength(2);
    expect([one, other]).toEqual([other, (await fixture.account()).accountId]);
  });

  it("returns to the storefront", async () => {
    const fixture = await payoutsFixture();
    const { url } = await fixture.client.startOnboarding({}, await as("sam"));
    const session = /name="session" value="(\w+)"/.exec(await (await fetch(url)).text())?.[1];
    const body = `session=${session}&answer=complete`;
    const answer = await fetch(url, { method: "POST", body, redirect: "manual" });
    expect(answer.headers.get("location")).toBe(`${PUBLIC_URL}/earnings`);
    fixture.clock.ahead = 3_000;
    const { onboarding } = await fixture.client.getEarnings({}, await as("sam"));
    expect(onboarding).toBe(OnboardingStatus.COMPLETE);
  });

  it("is refused temporarily if Stripe does not answer, and can begin again afterwards", async () => {
    const fixture = await payoutsFixture();
    await fixture.fault({ path: "/v1/accounts", fail: 500, times: 3 });
    const begin = async () => fixture.client.startOnboarding({}, await as("sam"));
    const later = { code: Code.Unavailable, reason: "NOT_READY" };
    expect(await refusal(begin())).toMatchObject(later);
    // Stripe repeats its error under the same idempotency key.
    expect(await refusal(begin())).toMatchObject(later);
    fixture.clock.ahead = 600_000;
    expect((await begin()).url).toContain("http");
  });
});

it("a webhook only identifies the account, and its status is fetched from Stripe", async () => {
  const fixture = await payoutsFixture();
  await createOnboardingLink(fixture.deps, "sam");
  const webhooks = webhookModel(fixture.db);
  const listener = accountListener({ ...fixture.deps, webhooks, log: silentLog });
  expect(listener.accepts("account.updated")).toBe(true);
  expect(listener.accepts("charge.refunded")).toBe(false);
  const { accountId } = await fixture.account();
  expect(await listener.subjectOf({ id: "acct_of_somebody_else" })).toBeUndefined();

  const hear = async (): Promise<void> => {
    const lie = { payouts_enabled: true, capabilities: { transfers: "active" } };
    const subject = (await listener.subjectOf({ id: accountId, ...lie })) ?? "";
    const stored = { _id: "evt_1", type: "account.updated", subject, receivedAt: new Date() };
    await webhooks.create(stored);
    listener.enqueue(subject, "evt_1");
    await eventually(
      () => webhooks.findOneAndDelete({ handledAt: { $exists: true } }),
      "the webhook to be handled",
    );
  };
  await hear();
  expect(await fixture.account()).toMatchObject({ _id: "sam", ready: false });
  await fixture.setAccountStatus("active");
  await hear();
  expect(await fixture.account()).toMatchObject({ _id: "sam", ready: true });
});
