import { OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { refusal } from "#runtime/testing/refusal.ts";
import { feesIn, heldIn, owedTo } from "../ledger.ts";
import { UNSETTLED } from "../payment.ts";
import { settle } from "../settlement/settlement.ts";
import { askBack, bought, refundsOf, stripeIdOf } from "../testing/refunds.ts";
import { hastyStripe, type Fault } from "../testing/stripe-fixture.ts";
import { world, type World } from "../testing/payments-fixture.ts";
import { waitingRefunds } from "./waiting-refunds.ts";

const usd = (units: bigint, nanos = 0) => ({ currencyCode: "USD", units, nanos });

const alarms = ({ lines }: World): unknown[] =>
  lines.filter(({ alarm }) => alarm).map(({ msg }) => msg);

/** Under which keys Stripe was asked for refunds, and did them. */
async function keys(all: World): Promise<unknown[]> {
  const { data } = await hastyStripe(all.bank.base).events.list({ type: "refund.created" });
  return data.map(({ request }) => request?.idempotency_key);
}

/** Somebody does something on Stripe's own pages. */
const outside = async (all: World, order: Order, amount?: number): Promise<Stripe.Refund> =>
  hastyStripe(all.bank.base).refunds.create({
    payment_intent: await stripeIdOf(all, order),
    ...(amount !== undefined && { amount }),
  });

const dispute = async (all: World, order: Order): Promise<string> => {
  const payment_intent = await stripeIdOf(all, order);
  return ((await all.bank.turn("POST", "disputes", { payment_intent })) as { id: string }).id;
};

describe("a refund", () => {
  it.each<[string, Fault, number]>([
    ["loses the answer, twice", { drop: true, times: 2 }, 0],
    ["loses every answer for a while", { drop: true, times: 6 }, 0],
    ["answers 500 and has done it", { fail: 500, late: true, times: 1 }, 0],
    ["answers 500 and has not done it, for a while", { fail: 500, times: 6 }, 2],
    ["takes more time than we give it", { slow: 150, times: 6 }, 0],
  ])("of a part is made once where Stripe %s", async (_, fault, faults) => {
    const all = await world();
    const order = await bought(all);
    await all.settler.close();
    all.start(hastyStripe(all.bank.base, { timeoutMs: "slow" in fault ? 50 : 8_000 }));
    await all.fault({ method: "POST", path: "/v1/refunds", ...fault });
    const { refund } = await askBack(all, order, "administrator", { amount: usd(5n) });
    await all.reaches(order, "PARTLY_REFUNDED");
    expect(await all.settled(order)).toBe("COMPLETED");
    const { refunds } = await all.books(order);
    const metadata = { order_id: order.id, refund_id: refund?.id };
    expect(refunds).toMatchObject([{ amount: 500, metadata }]);
    // Under a key that has seen a fault of Stripe's own it would see it again for a day.
    expect(await keys(all)).toEqual([`${refund?.id}:${faults}`]);
    expect(await refundsOf(all, order)).toEqual(["SUCCEEDED"]);
    expect(alarms(all)).toEqual([]);
  });

  it("is made once by ten who settle it at the same time", async () => {
    const all = await world();
    const order = await bought(all);
    await all.settler.close();
    await askBack(all, order, "seller");
    await Promise.allSettled(Array.from({ length: 10 }, () => settle(all.deps, order.id, false)));
    await settle(all.deps, order.id, true);
    expect((await all.books(order)).refunds).toHaveLength(1);
    expect((await all.names(order)).filter((name) => name === "ChargeRefunded")).toHaveLength(1);
    await all.settled(order);
  });

  it("has failed where the bank returns it later: the money is there again, and an alarm", async () => {
    const all = await world();
    const order = await bought(all, {}, "tok_pendingRefund");
    await askBack(all, order, "administrator", { amount: usd(5n) });
    await all.reaches(order, "PARTLY_REFUNDED");
    const [refund] = (await all.books(order)).refunds;
    await all.bank.turn("POST", `refunds/${refund?.id}`, { status: "failed" });
    for (let i = 0; i < 3; i += 1) await settle(all.deps, order.id, true);
    expect(await all.statuses(order)).toEqual(["CAPTURED"]);
    expect(await refundsOf(all, order)).toEqual(["FAILED"]);
    expect(heldIn((await all.load(order.id)).postings)).toBe(2550);
    expect(alarms(all)).toEqual(["a refund came to nothing; look at Stripe"]);
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("of an order that has ended is not tried again and again where the bank returns it", async () => {
    const all = await world();
    const order = await bought(all, {}, "tok_pendingRefund");
    await askBack(all, order, "seller");
    expect(await all.settled(order)).toBe("CANCELLED");
    const [refund] = (await all.books(order)).refunds;
    await all.bank.turn("POST", `refunds/${refund?.id}`, { status: "failed" });
    await settle(all.deps, order.id, true);
    await all.settler.reconcile();
    await all.settler.close();
    expect((await all.books(order)).refunds).toHaveLength(1);
    expect(await all.statuses(order)).toEqual(["CAPTURED"]);
    await outside(all, order); // The person whom the alarm called.
    await settle(all.deps, order.id, true);
    expect(await all.statuses(order)).toEqual(["REFUNDED"]);
  });

  it("that Stripe refuses for a reason that nobody knows has failed, with an alarm", async () => {
    const all = await world();
    const order = await bought(all);
    await all.settler.close();
    const refusing = Object.create(all.deps.stripe, {
      refunds: {
        value: {
          list: (params: object) => all.deps.stripe.refunds.list(params),
          create: () =>
            Promise.reject(
              new Stripe.errors.StripeInvalidRequestError({
                type: "invalid_request_error",
                message: "no",
                statusCode: 400,
              }),
            ),
        },
      },
    }) as Stripe;
    await askBack(all, order, "seller");
    await settle({ ...all.deps, stripe: refusing }, order.id, false);
    expect(await refundsOf(all, order)).toEqual(["FAILED"]);
    expect(alarms(all)).toEqual(["Stripe refuses a refund; look at it"]);
    all.start();
    await askBack(all, order, "seller"); // It may be asked for again.
    expect(await all.settled(order)).toBe("CANCELLED");
  });
});

describe("what somebody gives back on Stripe's own pages", () => {
  it("is noticed in parts and in full, each once, under Stripe's id", async () => {
    const all = await world({ webhooks: true });
    const order = await bought(all);
    const first = await outside(all, order, 1000);
    await all.reaches(order, "PARTLY_REFUNDED");
    expect(await all.settled(order)).toBe("COMPLETED");
    const second = await outside(all, order);
    await all.reaches(order, "REFUNDED");
    expect(await all.settled(order)).toBe("CANCELLED");
    const { refunds, postings } = await all.load(order.id);
    expect(refunds).toMatchObject([
      { _id: first.id, amount: 1000, reason: "OUTSIDE", status: "SUCCEEDED" },
      { _id: second.id, amount: 1550, reason: "OUTSIDE", status: "SUCCEEDED" },
    ]);
    expect([heldIn(postings), feesIn(postings), owedTo(postings)]).toEqual([0, 0, 0]);
    expect((await all.names(order)).filter((name) => name === "ChargeRefunded")).toHaveLength(2);
  });

  it("is noticed at once also where we did not know that it had been taken", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order);
    await hastyStripe(all.bank.base).paymentIntents.capture(await stripeIdOf(all, order));
    await outside(all, order, 1000);
    await settle(all.deps, order.id, true);
    expect(await all.statuses(order)).toEqual(["PARTLY_REFUNDED"]);
    await all.settler.reconcile();
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("explains why our own refund of it is refused: that one has failed, without an alarm", async () => {
    const all = await world();
    const order = await bought(all);
    await all.fault({ method: "POST", path: "/v1/refunds", hold: true });
    await askBack(all, order, "seller");
    await expect
      .poll(async () => ((await all.bank.turn("GET", "faults")) as { met: number }[])[0]?.met)
      .toBe(1);
    await outside(all, order);
    await all.bank.turn("DELETE", "faults");
    expect(await all.settled(order)).toBe("CANCELLED");
    expect(await refundsOf(all, order)).toEqual(["FAILED", "SUCCEEDED"]);
    expect(alarms(all)).toEqual([]);
  });
});

describe("a dispute", () => {
  it.each(["won", "lost"] as const)(
    "takes the money with it, with an alarm; where it is %s, so says the ledger",
    async (status) => {
      const all = await world({ webhooks: true });
      const order = await bought(all);
      const held = async () => heldIn((await all.load(order.id)).postings);
      const is = (word: string) =>
        expect.poll(async () => (await all.load(order.id)).dispute?.status).toBe(word);
      const id = await dispute(all, order);
      await is("OPEN");
      expect(await held()).toBe(0);
      await all.bank.turn("POST", `disputes/${id}`, { status });
      await is(status.toUpperCase());
      for (let i = 0; i < 3; i += 1) await settle(all.deps, order.id, true);
      const { postings } = await all.load(order.id);
      const isWon = status === "won";
      expect([heldIn(postings), feesIn(postings), owedTo(postings)]).toEqual(
        isWon ? [2550, 128, 2422] : [0, 0, 0],
      );
      expect(alarms(all)).toEqual([
        "the buyer's bank wants the money back; answer it on Stripe's pages",
      ]);
      const again = askBack(all, order, "administrator").then(() => "begun");
      expect(await again.catch(() => "refused")).toBe(isWon ? "begun" : "refused");
    },
  );

  it("explains why a refund is refused that was begun just before", async () => {
    const all = await world();
    const order = await bought(all);
    await all.settler.close();
    await askBack(all, order, "seller");
    await dispute(all, order);
    await settle(all.deps, order.id, false);
    expect(await refundsOf(all, order)).toEqual(["FAILED"]);
    expect(alarms(all)).toEqual([
      "the buyer's bank wants the money back; answer it on Stripe's pages",
    ]);
  });
});

describe("an authorization that the bank lets run out", () => {
  it.each([
    ["before the order has accepted it", false],
    ["and that the order has accepted", true],
  ])("%s ends the order, and nobody is charged", async (_, accepted) => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order);
    await all.settler.close();
    if (accepted) await all.accept(order);
    await all.bank.turn("POST", "expire", { payment_intent: await stripeIdOf(all, order) });
    const { settler } = all.start();
    await settler.reconcile();
    expect(await all.settled(order)).toBe("CANCELLED");
    expect(order.status).toBe(OrderStatus.CANCELLED);
    expect(await all.statuses(order)).toEqual(["FAILED"]);
  });
});

describe("the reconciler", () => {
  it("brings to Stripe what was decided just before a crash", async () => {
    const all = await world();
    const order = await bought(all);
    await all.settler.close();
    await askBack(all, order, "seller");
    const { settler } = all.start();
    expect(await refundsOf(all, order)).toEqual(["PENDING"]); // Nobody has saved, so nobody looks.
    await settler.reconcile();
    expect(await all.settled(order)).toBe("CANCELLED");
  });

  it("finds what is going back by an index, and not by reading everything", async () => {
    const { payments } = await world();
    const plan = JSON.stringify(await payments.find(UNSETTLED).explain("queryPlanner"));
    expect(plan).toContain("IXSCAN");
    expect(plan).not.toContain("COLLSCAN");
  });
});

describe("a refund that was decided", () => {
  it("is of what is left, where a part went back meanwhile", async () => {
    const all = await world();
    const order = await bought(all);
    await all.settler.close();
    await askBack(all, order, "buyer");
    await outside(all, order, 500);
    await all.tellCode(order, "sealed");
    for (let i = 0; i < 3; i += 1) await settle(all.deps, order.id, true).catch(() => undefined);
    expect(await refundsOf(all, order)).toEqual(["SUCCEEDED", "SUCCEEDED"]);
    expect(await all.statuses(order)).toEqual(["REFUNDED"]);
    const { refunds } = await all.books(order);
    expect(refunds.map(({ amount }) => amount).toSorted()).toEqual([2050, 500]);
    expect(alarms(all)).toEqual([]);
  });

  it.each(["refund", "dispute"])(
    "is not asked for where a %s took all of it meanwhile",
    async (what) => {
      const all = await world();
      const order = await bought(all);
      await all.settler.close();
      await askBack(all, order, "seller");
      if (what === "refund") await outside(all, order);
      else await dispute(all, order);
      await all.fault({ method: "POST", path: "/v1/refunds", fail: 500, times: 100 });
      await settle(all.deps, order.id, true);
      expect(await refundsOf(all, order)).toContain("FAILED");
      const [fault] = (await all.bank.turn("GET", "faults")) as { met: number }[];
      expect(fault?.met).toBe(0);
    },
  );

  it("because of a dispute raises another alarm when that is won", async () => {
    const all = await world();
    const order = await bought(all);
    await all.settler.close();
    await askBack(all, order, "seller");
    const id = await dispute(all, order);
    for (let i = 0; i < 2; i += 1) await settle(all.deps, order.id, true).catch(() => undefined);
    expect(await refundsOf(all, order)).toEqual(["FAILED"]);
    await all.bank.turn("POST", `disputes/${id}`, { status: "won" });
    await settle(all.deps, order.id, true);
    expect(alarms(all)).toEqual([
      "the buyer's bank wants the money back; answer it on Stripe's pages",
      "a dispute is won that had stopped a refund; ask for it again",
    ]);
  });
});

describe("a buyer's wish of which tickets says nothing", () => {
  it("raises an alarm, and stands in nobody's way who may decide", async () => {
    const all = await world();
    const order = await bought(all);
    await askBack(all, order, "buyer");
    const look = waitingRefunds(all.deps);
    await look();
    expect(alarms(all)).toEqual([]);
    all.clock.ahead = 6 * 60_000;
    await look();
    await look();
    expect(alarms(all)).toEqual(["a buyer's refund waits for tickets; decide it"]);
    await askBack(all, order, "administrator");
    await all.reaches(order, "REFUNDED");
    expect(await refundsOf(all, order)).toEqual(["REFUSED", "SUCCEEDED"]);
    await all.tellCode(order, "sealed"); // Too late to change anything.
    expect(await refundsOf(all, order)).toEqual(["REFUSED", "SUCCEEDED"]);
    expect((await all.books(order)).refunds).toHaveLength(1);
  });

  it("waits no shorter for a part that somebody gives back meanwhile: the code is sealed for all", async () => {
    const all = await world();
    const order = await bought(all);
    await askBack(all, order, "buyer");
    const part = askBack(all, order, "administrator", { amount: usd(5n) });
    expect((await refusal(part)).reason).toBe("REFUND_IN_PROGRESS");
    await outside(all, order, 500);
    await settle(all.deps, order.id, true);
    await all.tellCode(order, "sealed");
    expect(await all.settled(order)).toBe("CANCELLED");
    expect((await all.books(order)).refunds.map(({ amount }) => amount).toSorted()).toEqual([
      2050, 500,
    ]);
  });
});
