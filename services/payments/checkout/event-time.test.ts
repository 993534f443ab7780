import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { requestRefund, completedOrder, type RefundRequester } from "../testing/refunds.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";

const MINUTE_MS = 60_000;

/** The fixture, with a paid order for an event that begins in this many minutes. */
async function paid(minutes: number) {
  const fixture = await paymentsFixture();
  const begins = fixture.deps.now() + minutes * MINUTE_MS;
  const order = await completedOrder(fixture, { eventTime: timestampFromMs(begins) });
  return { fixture, order, begins };
}

const callers = (order: { userId: string; sellerId: string }) => ({
  buyer: as(order.userId),
  seller: as(order.sellerId),
  administrator: as("root", "administrator"),
});

/** What the page shows one of the callers. */
async function shown(
  fixture: PaymentsFixture,
  order: Awaited<ReturnType<typeof completedOrder>>,
  who: Exclude<RefundRequester, "stranger">,
) {
  const { refundability } = await fixture.client.getPayment(
    { orderId: order.id },
    await callers(order)[who],
  );
  const { amount, until } = refundability ?? {};
  return { ...refundability, amount, until: until && timestampDate(until).getTime() };
}

describe("after the event has begun (R16)", () => {
  it("an order cannot be paid, even if its hold lasts longer", async () => {
    const { buy, pay, stripeState, clock, deps } = await paymentsFixture();
    const order = await buy({ eventTime: timestampFromMs(deps.now() + 10_000) });
    clock.ahead = 10_001;
    expect(await refusal(pay(order))).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "EVENT_BEGUN",
    });
    expect((await stripeState(order)).intents).toEqual([]);
  });

  it("the buyer cannot request a refund, even within the 30 minutes", async () => {
    const { fixture, order, begins } = await paid(5);
    fixture.clock.ahead = 5 * MINUTE_MS;
    expect(await refusal(requestRefund(fixture, order, "buyer"))).toMatchObject({
      reason: "REFUND_TOO_LATE",
      metadata: { until: new Date(begins).toISOString() },
    });
    expect((await refusal(requestRefund(fixture, order, "seller"))).reason).toBe("REFUND_TOO_LATE");
    await requestRefund(fixture, order, "administrator");
  });

  it("a refund that was requested before is completed", async () => {
    const { fixture, order } = await paid(5);
    await requestRefund(fixture, order, "buyer");
    fixture.clock.ahead = 6 * MINUTE_MS;
    await fixture.deliverCodeEvent(order, "sealed");
    expect(await fixture.settled(order)).toBe("CANCELLED");
  });
});

describe("the refundability in GetPayment", () => {
  it.each([
    { minutes: 5, ahead: 0 },
    { minutes: 5, ahead: 6 },
    { minutes: 60, ahead: 29 },
    { minutes: 60, ahead: 31 },
    { minutes: 60, ahead: 61 },
  ])(
    "matches RefundPayment: event in $minutes minutes, now $ahead later",
    async ({ minutes, ahead }) => {
      for (const who of ["buyer", "seller", "administrator"] as const) {
        const { fixture, order, begins } = await paid(minutes);
        fixture.clock.ahead = ahead * MINUTE_MS;
        const told = await shown(fixture, order, who);
        const { captureTime } = await fixture.load(order.id);
        const halfAnHour = (captureTime?.getTime() ?? 0) + 30 * MINUTE_MS;
        const untils = {
          buyer: Math.min(halfAnHour, begins),
          seller: begins,
          administrator: undefined,
        };
        expect(told.until).toBe(untils[who]);
        const done = await requestRefund(fixture, order, who).then(
          () => "",
          (error: unknown) => error,
        );
        if (done === "") expect(told).toMatchObject({ amount: order.price, refused: "" });
        else
          expect(told).toMatchObject({
            amount: undefined,
            refused: (await refusal(Promise.reject(done as Error))).reason,
          });
      }
    },
  );

  it("names the reason if the code was revealed", async () => {
    const { fixture, order } = await paid(60);
    await fixture.deliverCodeEvent(order, "opened", fixture.deps.now());
    expect(await shown(fixture, order, "buyer")).toMatchObject({
      refused: "CODE_OPENED",
      amount: undefined,
    });
    expect(await shown(fixture, order, "seller")).toMatchObject({
      refused: "",
      amount: order.price,
    });
  });

  it("says that nothing can be refunded if nothing was captured", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order);
    const told = await shown(fixture, order, "buyer");
    expect(told).toMatchObject({
      refused: "NOTHING_TO_REFUND",
      amount: undefined,
      until: undefined,
    });
  });
});

describe("the receipt", () => {
  it("describes the ticket as the buyer saw it", async () => {
    const fixture = await paymentsFixture();
    const eventTime = timestampFromMs(Date.UTC(2090, 5, 4, 18));
    const order = await fixture.buy({ venue: "The Old Hall", eventTime });
    await fixture.pay(order);
    const { intents } = await fixture.stripeState(order);
    expect(intents[0]?.description).toBe("A concert, The Old Hall, 2090-06-04T18:00:00.000Z");
  });

  it.each([
    ["Europe/Berlin", "A concert, 4 Jun 2090, 20:00 (Europe/Berlin)"],
    ["Mars/Base", "A concert, 2090-06-04T18:00:00.000Z"],
  ])("shows the event time in its time zone, if %s is a known zone", async (timeZone, expected) => {
    const fixture = await paymentsFixture();
    const eventTime = timestampFromMs(Date.UTC(2090, 5, 4, 18));
    const order = await fixture.buy({ venue: "", eventTime, timeZone });
    await fixture.pay(order);
    const { intents } = await fixture.stripeState(order);
    expect(intents[0]?.description).toBe(expected);
  });
});
