import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import { describe, expect, it, onTestFinished } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { newest, type PaymentFields } from "../payment.ts";
import { pollGapMs } from "../stripe/poll-interval.ts";
import { createStripe } from "../stripe/client.ts";
import { stripePace } from "../stripe/request-pace.ts";
import { KEY } from "../testing/stripe-fixture.ts";
import { world, type World } from "../testing/payments-fixture.ts";

const MINUTE_MS = 60_000;
/** What a poll asks of Stripe. */
const POLL = { method: "GET", path: "/v1/payment_intents/" };

/** Payments whose buyers are at their bank; only Stripe knows what becomes of them. */
async function unsettled(all: World, count: number, ageMs = 0): Promise<string[]> {
  const order = await all.buy();
  await all.pay(order, "tok_threeDSecure2Required");
  const found = await all.load(order.id);
  const time = new Date(all.deps.now() - ageMs);
  const { stripeId } = newest(found) ?? {};
  const attempt = { status: "REQUIRES_ACTION" as const, stripeId, createTime: time };
  await all.payments.deleteOne({ _id: order.id });
  const copies = Array.from({ length: count }, (): PaymentFields => {
    const attempts = [{ ...attempt, _id: newId() }];
    return { ...found, _id: newId(), attempts, outbox: [], createTime: time, updateTime: time };
  });
  await all.payments.insertMany(copies);
  return copies.map(({ _id }) => _id);
}

/** Counts the polls from now on; `fault` may let them meet with one. */
async function polls(all: World, fault: object = { slow: 1 }): Promise<() => Promise<number>> {
  await all.bank.turn("DELETE", "faults");
  await all.fault({ ...POLL, times: 1_000_000, ...fault });
  onTestFinished(() => all.bank.turn("DELETE", "faults").then(() => undefined));
  return async () => {
    const [ordered] = (await all.bank.turn("GET", "faults")) as { met: number }[];
    return ordered?.met ?? 0;
  };
}

/** Has the settlers look at what is due, and waits until they have done what comes of it. */
async function sweep(...settlers: World["settler"][]): Promise<void> {
  await Promise.all(settlers.map((settler) => settler.reconcile()));
  await Promise.all(settlers.map((settler) => settler.idle()));
}

describe("a capture", () => {
  it("is not behind three hundred payments whose polls Stripe does not answer", async () => {
    const all = await world();
    await unsettled(all, 300);
    const count = await polls(all, { hold: true });
    const sweeping = all.settler.reconcile();
    await eventually(async () => (await count()) > 0, "the first polls");
    const order = await all.buy();
    await all.pay(order);
    await all.accept(order);
    await all.reaches(order, "CAPTURED");
    expect(await count()).toBeLessThan(17); // All others wait yet.
    await all.settler.close();
    await all.bank.turn("DELETE", "faults");
    await sweeping;
  });

  it("goes on while Stripe wants to be asked less, and what can wait waits", async () => {
    const all = await world();
    await all.settler.close();
    await unsettled(all, 100);
    const pace = stripePace(50);
    const patient = { stripe: createStripe(KEY, all.bank.base, pace), pace };
    const { settler } = all.start(undefined, undefined, patient);
    const count = await polls(all, { fail: 429 });
    await settler.reconcile();
    const order = await all.buy();
    await all.pay(order);
    await all.accept(order);
    await all.reaches(order, "CAPTURED");
    expect(pace.isPaused()).toBe(true);
    expect(await count()).toBeGreaterThan(0);
    expect(await count()).toBeLessThan(50); // Those that were under way when it said so.
  });

  it("that a crash has left does not wait until its payment is polled again", async () => {
    const all = await world();
    await all.settler.close();
    const order = await all.buy();
    await all.pay(order);
    const first = all.start();
    all.clock.ahead = 61_000;
    await sweep(first.settler); // Polled: not due for a while.
    await first.settler.close();
    await all.accept(order);
    const second = all.start();
    await sweep(second.settler);
    expect(await all.statuses(order)).toEqual(["CAPTURED"]);
    expect(order.status).toBe(OrderStatus.AWAITING_PAYMENT);
  });
});

describe("a payment that is not settled", () => {
  it("is polled by one instance at a time, however many look", async () => {
    const all = await world();
    const others = [all.start(), all.start()];
    await unsettled(all, 40);
    all.clock.ahead += MINUTE_MS;
    const count = await polls(all);
    await sweep(all.settler, ...others.map(({ settler }) => settler));
    expect(await count()).toBe(40);
  });

  it("is polled again after a minute, and by another instance where the first has died", async () => {
    const all = await world();
    await unsettled(all, 5);
    const count = await polls(all);
    for (let i = 0; i < 3; i += 1) await sweep(all.settler);
    expect(await count()).toBe(5);
    await all.settler.close();
    const other = all.start();
    await sweep(other.settler);
    expect(await count()).toBe(5);
    all.clock.ahead += MINUTE_MS;
    await sweep(other.settler);
    expect(await count()).toBe(10);
  });

  it("is polled more rarely, the longer nothing has happened to it", async () => {
    const all = await world();
    await unsettled(all, 3, 3 * 3_600_000);
    const count = await polls(all);
    await sweep(all.settler);
    expect(await count()).toBe(3);
    all.clock.ahead += 10 * MINUTE_MS;
    await sweep(all.settler);
    expect(await count()).toBe(3);
    all.clock.ahead += 50 * MINUTE_MS;
    await sweep(all.settler);
    expect(await count()).toBe(6);
  });

  it("comes up spread, between most of the gap and all of it, which is an hour at most", () => {
    const gaps = Array.from({ length: 1_000 }, () => pollGapMs(3_600_000));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(10 * MINUTE_MS);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(8 * MINUTE_MS);
    expect(new Set(gaps).size).toBeGreaterThan(900);
    expect(pollGapMs(0)).toBeLessThanOrEqual(MINUTE_MS);
    expect(pollGapMs(1e12)).toBeLessThanOrEqual(60 * MINUTE_MS);
  });
});
