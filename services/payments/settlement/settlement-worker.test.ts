import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import { describe, expect, it, onTestFinished } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { newestAttempt, type PaymentFields } from "../payment.ts";
import { pollIntervalMs } from "../stripe/poll-interval.ts";
import { createStripe } from "../stripe/client.ts";
import { requestPace } from "../stripe/request-pace.ts";
import { KEY } from "../testing/stripe-fixture.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";

const MINUTE_MS = 60_000;
/** The request of a poll. */
const POLL = { method: "GET", path: "/v1/payment_intents/" };

/** Payments whose buyers are at their bank; only Stripe knows the result. */
async function unsettled(fixture: PaymentsFixture, count: number, ageMs = 0): Promise<string[]> {
  const order = await fixture.buy();
  await fixture.pay(order, "tok_threeDSecure2Required");
  const found = await fixture.load(order.id);
  const time = new Date(fixture.deps.now() - ageMs);
  const { stripeId } = newestAttempt(found) ?? {};
  const attempt = { status: "REQUIRES_ACTION" as const, stripeId, createTime: time };
  await fixture.payments.deleteOne({ _id: order.id });
  const copies = Array.from({ length: count }, (): PaymentFields => {
    const attempts = [{ ...attempt, _id: newId() }];
    return { ...found, _id: newId(), attempts, outbox: [], createTime: time, updateTime: time };
  });
  await fixture.payments.insertMany(copies);
  return copies.map(({ _id }) => _id);
}

/** Counts the polls from now on; `fault` makes them fail. */
async function polls(
  fixture: PaymentsFixture,
  fault: object = { slow: 1 },
): Promise<() => Promise<number>> {
  await fixture.stripeServer.control("DELETE", "faults");
  await fixture.fault({ ...POLL, times: 1_000_000, ...fault });
  onTestFinished(() => fixture.stripeServer.control("DELETE", "faults").then(() => undefined));
  return async () => {
    const [ordered] = (await fixture.stripeServer.control("GET", "faults")) as { met: number }[];
    return ordered?.met ?? 0;
  };
}

/** Runs a sweep of the workers, and waits until its work is done. */
async function sweep(...settlers: PaymentsFixture["settler"][]): Promise<void> {
  await Promise.all(settlers.map((settler) => settler.reconcile()));
  await Promise.all(settlers.map((settler) => settler.idle()));
}

describe("a capture", () => {
  it("does not wait for three hundred payments whose polls Stripe does not answer", async () => {
    const fixture = await paymentsFixture();
    await unsettled(fixture, 300);
    const count = await polls(fixture, { hold: true });
    const sweeping = fixture.settler.reconcile();
    await eventually(async () => (await count()) > 0, "the first polls");
    const order = await fixture.buy();
    await fixture.pay(order);
    await fixture.accept(order);
    await fixture.attemptReaches(order, "CAPTURED");
    expect(await count()).toBeLessThan(17); // All others still wait.
    await fixture.stripeServer.control("DELETE", "faults");
    await fixture.settler.close();
    await sweeping;
  });

  it("continues while Stripe limits the rate, and polls wait", async () => {
    const fixture = await paymentsFixture();
    await fixture.settler.close();
    await unsettled(fixture, 100);
    const pace = requestPace(50);
    const patient = { stripe: createStripe(KEY, fixture.stripeServer.base, pace), pace };
    const { settler } = fixture.start(undefined, undefined, patient);
    const count = await polls(fixture, { fail: 429 });
    await settler.reconcile();
    const order = await fixture.buy();
    await fixture.pay(order);
    await fixture.accept(order);
    await fixture.attemptReaches(order, "CAPTURED");
    expect(pace.isPaused()).toBe(true);
    expect(await count()).toBeGreaterThan(0);
    expect(await count()).toBeLessThan(50); // Only those in progress when the limit was reached.
  });

  it("that a crash interrupted does not wait for the next poll of its payment", async () => {
    const fixture = await paymentsFixture();
    await fixture.settler.close();
    const order = await fixture.buy();
    await fixture.pay(order);
    const first = fixture.start();
    fixture.clock.ahead = 61_000;
    await sweep(first.settler); // Polled: not due for some time.
    await first.settler.close();
    await fixture.accept(order);
    const second = fixture.start();
    await sweep(second.settler);
    expect(await fixture.statuses(order)).toEqual(["CAPTURED"]);
    expect(order.status).toBe(OrderStatus.AWAITING_PAYMENT);
  });
});

describe("an unsettled payment", () => {
  it("is polled by one instance at a time, however many run", async () => {
    const fixture = await paymentsFixture();
    const others = [fixture.start(), fixture.start()];
    await unsettled(fixture, 40);
    fixture.clock.ahead += MINUTE_MS;
    const count = await polls(fixture);
    await sweep(fixture.settler, ...others.map(({ settler }) => settler));
    expect(await count()).toBe(40);
  });

  it("is polled again after a minute, by another instance if the first has crashed", async () => {
    const fixture = await paymentsFixture();
    await unsettled(fixture, 5);
    const count = await polls(fixture);
    for (let i = 0; i < 3; i += 1) await sweep(fixture.settler);
    expect(await count()).toBe(5);
    await fixture.settler.close();
    const other = fixture.start();
    await sweep(other.settler);
    expect(await count()).toBe(5);
    fixture.clock.ahead += MINUTE_MS;
    await sweep(other.settler);
    expect(await count()).toBe(10);
  });

  it("is polled less often the longer it does not change", async () => {
    const fixture = await paymentsFixture();
    await unsettled(fixture, 3, 3 * 3_600_000);
    const count = await polls(fixture);
    await sweep(fixture.settler);
    expect(await count()).toBe(3);
    fixture.clock.ahead += 10 * MINUTE_MS;
    await sweep(fixture.settler);
    expect(await count()).toBe(3);
    fixture.clock.ahead += 50 * MINUTE_MS;
    await sweep(fixture.settler);
    expect(await count()).toBe(6);
  });

  it("has a jittered poll interval, which is an hour at most", () => {
    const gaps = Array.from({ length: 1_000 }, () => pollIntervalMs(3_600_000));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(10 * MINUTE_MS);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(8 * MINUTE_MS);
    expect(new Set(gaps).size).toBeGreaterThan(900);
    expect(pollIntervalMs(0)).toBeLessThanOrEqual(MINUTE_MS);
    expect(pollIntervalMs(1e12)).toBeLessThanOrEqual(60 * MINUTE_MS);
  });
});
