import { Code, type CallOptions } from "@connectrpc/connect";
import { createClient, type RedisClientType } from "redis";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { connectRedis } from "#runtime/store/redis.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { cardLimits, type CardLimits } from "./card-limits.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";

const { redisUrl } = inject("parts");
const rates = {
  perAccountAndHour: 10,
  perAccountAndDay: 30,
  perAddressAndHour: 12,
  perAddressAndDay: 40,
};

async function limits(change: Partial<typeof rates> = {}): Promise<CardLimits> {
  const redis = await connectRedis(redisUrl, silentLog);
  onTestFinished(() => redis.destroy());
  return cardLimits({ redis, ...rates, ...change });
}

const somebody = (): string => crypto.randomUUID();
const somewhere = (): string =>
  `10.${[1, 2, 3].map(() => Math.floor(Math.random() * 256)).join(".")}`;

/** A call of a user from an address, as the edge forwards it. */
async function from(userId: string, address: string): Promise<CallOptions> {
  const { headers } = await as(userId);
  return { headers: { ...(headers as Record<string, string>), "x-forwarded-for": address } };
}

const WRONG = "tok_chargeDeclinedIncorrectCvc";

/** Tries a card on a new order, and returns how the payment is refused. */
async function tries(fixture: PaymentsFixture, userId: string, address: string, token = WRONG) {
  const order = await fixture.buy({ userId });
  return refusal(fixture.pay(order, token, {}, await from(userId, address)));
}

describe("card testing", () => {
  it("from one account gets three declines with a reason, seven without, and is then refused", async () => {
    const fixture = await paymentsFixture({ cards: await limits() });
    const [eve, address] = [somebody(), somewhere()];
    const answers: Awaited<ReturnType<typeof tries>>[] = [];
    for (let i = 0; i < 40; i += 1) answers.push(await tries(fixture, eve, address));
    const refused = answers.filter(({ reason }) => reason === "PAYMENT_METHOD_REFUSED");
    expect(refused).toHaveLength(10);
    expect(refused.map(({ metadata }) => metadata)).toEqual([
      ...Array.from({ length: 3 }, () => ({ code: "incorrect_cvc" })),
      ...Array.from({ length: 7 }, () => ({})),
    ]);
    expect(answers.at(-1)).toMatchObject({
      code: Code.ResourceExhausted,
      reason: "TOO_MANY_CARDS",
    });
    const { retryAfterMs } = await tries(fixture, eve, somewhere());
    expect(retryAfterMs).toBeGreaterThan(3_000_000);
    expect(retryAfterMs).toBeLessThanOrEqual(3_600_000);
  });

  it("gets no more details from the payment than from the error", async () => {
    const fixture = await paymentsFixture({ cards: await limits() });
    const [eve, address] = [somebody(), somewhere()];
    for (let i = 0; i < 3; i += 1) await tries(fixture, eve, address);
    for (const token of [WRONG, "tok_chargeDeclinedInsufficientFunds"]) {
      const order = await fixture.buy({ userId: eve });
      const call = await from(eve, address);
      expect((await refusal(fixture.pay(order, token, {}, call))).metadata).toEqual({});
      const { payment } = await fixture.client.getPayment({ orderId: order.id }, call);
      expect([payment?.failureCode, payment?.attempts[0]?.failureCode]).toEqual(["", ""]);
      const seen = await fixture.client.getPayment(
        { orderId: order.id },
        await as("root", "administrator"),
      );
      expect(seen.payment?.failureCode).toMatch(/incorrect_cvc|insufficient_funds/);
    }
  });

  it("with 400 concurrent attempts gets no further than with sequential ones", async () => {
    const cards = await limits();
    const payer = { userId: somebody(), address: somewhere() };
    const rush = await Promise.allSettled(
      Array.from({ length: 400 }, () => cards.countAttempt(payer)),
    );
    expect(rush.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
  });

  it("with a new account for each card is limited by the address", async () => {
    const fixture = await paymentsFixture({ cards: await limits() });
    const address = somewhere();
    const answers: (string | undefined)[] = [];
    const told: object[] = [];
    for (let i = 0; i < 20; i += 1) {
      const { reason, metadata = {} } = await tries(fixture, somebody(), address);
      answers.push(reason);
      told.push(metadata);
    }
    expect(answers.filter((reason) => reason === "PAYMENT_METHOD_REFUSED")).toHaveLength(12);
    expect(answers.at(-1)).toBe("TOO_MANY_CARDS");
    expect(told[9]).toEqual({ code: "incorrect_cvc" });
    expect(told[10]).toEqual({});
    expect((await tries(fixture, somebody(), somewhere())).reason).toBe("PAYMENT_METHOD_REFUSED");
  });

  it("with a new address for each card is limited by the account", async () => {
    const fixture = await paymentsFixture({ cards: await limits() });
    const eve = somebody();
    const answers: (string | undefined)[] = [];
    for (let i = 0; i < 20; i += 1) answers.push((await tries(fixture, eve, somewhere())).reason);
    expect(answers.filter((reason) => reason === "PAYMENT_METHOD_REFUSED")).toHaveLength(10);
    expect(answers.at(-1)).toBe("TOO_MANY_CARDS");
  });

  it("below the hourly limit reaches the daily limit", async () => {
    const cards = await limits({ perAccountAndHour: 1_000, perAddressAndHour: 1_000 });
    const eve = somebody();
    for (let i = 0; i < 30; i += 1) await cards.countAttempt({ userId: eve, address: somewhere() });
    const late = cards.countAttempt({ userId: eve, address: somewhere() });
    await expect(late).rejects.toMatchObject({ reason: "TOO_MANY_CARDS" });
    const address = somewhere();
    for (let i = 0; i < 40; i += 1) await cards.countRefusal({ userId: somebody(), address });
    const there = cards.countAttempt({ userId: somebody(), address });
    await expect(there).rejects.toMatchObject({ reason: "TOO_MANY_CARDS" });
  });
});

describe("an ordinary buyer", () => {
  it("is not limited by successful payments", async () => {
    const fixture = await paymentsFixture({
      cards: await limits({ perAccountAndHour: 2, perAddressAndHour: 2 }),
    });
    const [ann, address] = [somebody(), somewhere()];
    for (let i = 0; i < 6; i += 1) {
      const order = await fixture.buy({ userId: ann });
      await fixture.pay(order, "tok_visa", {}, await from(ann, address));
    }
  });

  it("does not use up the limit with Stripe errors or repeated requests", async () => {
    const fixture = await paymentsFixture({ cards: await limits({ perAccountAndHour: 1 }) });
    const [ann, address] = [somebody(), somewhere()];
    const order = await fixture.buy({ userId: ann });
    const requestId = crypto.randomUUID();
    const call = await from(ann, address);
    await fixture.fault({ method: "POST", path: "/v1/payment_intents", fail: 500, times: 3 });
    expect((await refusal(fixture.pay(order, WRONG, {}, call))).reason).toBe("NOT_READY");
    for (let i = 0; i < 3; i += 1) {
      const { reason } = await refusal(fixture.pay(order, WRONG, { requestId }, call));
      expect(reason).toBe("PAYMENT_METHOD_REFUSED");
    }
    expect((await refusal(fixture.pay(order, WRONG, {}, call))).reason).toBe("TOO_MANY_CARDS");
  });

  it("can pay without Redis, while card testing is still refused", async () => {
    const redis = createClient({ url: "redis://127.0.0.1:1", disableOfflineQueue: true });
    redis.on("error", () => undefined);
    void redis.connect().catch(() => undefined);
    onTestFinished(() => redis.destroy());
    const fixture = await paymentsFixture({
      cards: cardLimits({ redis: redis as RedisClientType, ...rates }),
    });
    const [ann, eve] = [somebody(), somebody()];
    const order = await fixture.buy({ userId: ann });
    await fixture.pay(order, "tok_visa", {}, await from(ann, somewhere()));
    const answers: (string | undefined)[] = [];
    for (let i = 0; i < 12; i += 1) answers.push((await tries(fixture, eve, somewhere())).reason);
    expect(answers.filter((reason) => reason === "PAYMENT_METHOD_REFUSED")).toHaveLength(10);
    expect(answers.at(-1)).toBe("TOO_MANY_CARDS");
  });
});
