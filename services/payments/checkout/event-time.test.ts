import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { askBack, bought, type Asker } from "../testing/refunds.ts";
import { world, type World } from "../testing/payments-fixture.ts";

const MINUTE_MS = 60_000;

/** The world, with an order that is paid for an event that begins in so many minutes. */
async function paid(minutes: number) {
  const all = await world();
  const begins = all.deps.now() + minutes * MINUTE_MS;
  const order = await bought(all, { eventTime: timestampFromMs(begins) });
  return { all, order, begins };
}

const callers = (order: { userId: string; sellerId: string }) => ({
  buyer: as(order.userId),
  seller: as(order.sellerId),
  administrator: as("root", "administrator"),
});

/** What the page of one of them shows. */
async function shown(
  all: World,
  order: Awaited<ReturnType<typeof bought>>,
  who: Exclude<Asker, "stranger">,
) {
  const { refundability } = await all.client.getPayment(
    { orderId: order.id },
    await callers(order)[who],
  );
  const { amount, until } = refundability ?? {};
  return { ...refundability, amount, until: until && timestampDate(until).getTime() };
}

describe("after the event has begun (R16)", () => {
  it("nothing is paid, also not by a hold that would last longer", async () => {
    const { buy, pay, books, clock, deps } = await world();
    const order = await buy({ eventTime: timestampFromMs(deps.now() + 10_000) });
    clock.ahead = 10_001;
    expect(await refusal(pay(order))).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "EVENT_BEGUN",
    });
    expect((await books(order)).intents).toEqual([]);
  });

  it("its buyer gives nothing back, though the 30 minutes are not over", async () => {
    const { all, order, begins } = await paid(5);
    all.clock.ahead = 5 * MINUTE_MS;
    expect(await refusal(askBack(all, order, "buyer"))).toMatchObject({
      reason: "REFUND_TOO_LATE",
      metadata: { until: new Date(begins).toISOString() },
    });
    expect((await refusal(askBack(all, order, "seller"))).reason).toBe("REFUND_TOO_LATE");
    await askBack(all, order, "administrator");
  });

  it("what was asked back before goes back", async () => {
    const { all, order } = await paid(5);
    await askBack(all, order, "buyer");
    all.clock.ahead = 6 * MINUTE_MS;
    await all.tellCode(order, "sealed");
    expect(await all.settled(order)).toBe("CANCELLED");
  });
});

describe("what the page is told of a refund", () => {
  it.each([
    { minutes: 5, ahead: 0 },
    { minutes: 5, ahead: 6 },
    { minutes: 60, ahead: 29 },
    { minutes: 60, ahead: 31 },
    { minutes: 60, ahead: 61 },
  ])(
    "is what the server does: event in $minutes minutes, now $ahead later",
    async ({ minutes, ahead }) => {
      for (const who of ["buyer", "seller", "administrator"] as const) {
        const { all, order, begins } = await paid(minutes);
        all.clock.ahead = ahead * MINUTE_MS;
        const told = await shown(all, order, who);
        const { captureTime } = await all.load(order.id);
        const halfAnHour = (captureTime?.getTime() ?? 0) + 30 * MINUTE_MS;
        const untils = {
          buyer: Math.min(halfAnHour, begins),
          seller: begins,
          administrator: undefined,
        };
        expect(told.until).toBe(untils[who]);
        const done = await askBack(all, order, who).then(
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

  it("names the reason, where the code was opened", async () => {
    const { all, order } = await paid(60);
    await all.tellCode(order, "opened", all.deps.now());
    expect(await shown(all, order, "buyer")).toMatchObject({
      refused: "CODE_OPENED",
      amount: undefined,
    });
    expect(await shown(all, order, "seller")).toMatchObject({ refused: "", amount: order.price });
  });

  it("is that nothing can be, where nothing was taken", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order);
    const told = await shown(all, order, "buyer");
    expect(told).toMatchObject({
      refused: "NOTHING_TO_REFUND",
      amount: undefined,
      until: undefined,
    });
  });
});

describe("the receipt", () => {
  it("names the ticket as it was seen", async () => {
    const all = await world();
    const eventTime = timestampFromMs(Date.UTC(2090, 5, 4, 18));
    const order = await all.buy({ venue: "The Old Hall", eventTime });
    await all.pay(order);
    const { intents } = await all.books(order);
    expect(intents[0]?.description).toBe("A concert, The Old Hall, 2090-06-04T18:00:00.000Z");
  });

  it.each([
    ["Europe/Berlin", "A concert, 4 Jun 2090, 20:00 (Europe/Berlin)"],
    ["Mars/Base", "A concert, 2090-06-04T18:00:00.000Z"],
  ])("tells the time of the event as in its zone, where %s is one", async (timeZone, expected) => {
    const all = await world();
    const eventTime = timestampFromMs(Date.UTC(2090, 5, 4, 18));
    const order = await all.buy({ venue: "", eventTime, timeZone });
    await all.pay(order);
    const { intents } = await all.books(order);
    expect(intents[0]?.description).toBe(expected);
  });
});
