import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { Order } from "@ticketing/proto/orders/v1/order";
import {
  DisputeStatus,
  PaymentStatus,
  RefundReason,
  RefundStatus,
} from "@ticketing/proto/payments/v1/payment";
import type { RefundPaymentResponse } from "@ticketing/proto/payments/v1/payment_service";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { cases } from "#runtime/testing/thoroughness.ts";
import { settlePayment } from "../settlement/settlement.ts";
import {
  requestRefund,
  completedOrder,
  refundReaches,
  refundsOf,
  stripeIdOf,
  type RefundRequester,
} from "../testing/refunds.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";

const HALF_HOUR = 30 * 60_000;
const usd = (units: bigint, nanos = 0) => ({ currencyCode: "USD", units, nanos });
const inAnHour = () => timestampFromMs(Date.now() + 3_600_000);

/** A state of the payment before the refund is requested. */
type Before = (fixture: PaymentsFixture, order: Order) => unknown;

const nothing: Before = () => undefined;
const halfAnHour: Before = ({ clock }) => (clock.ahead += HALF_HOUR);
const almostHalfAnHour: Before = ({ clock }) => (clock.ahead += HALF_HOUR - 10_000);
const begun: Before = ({ clock }) => (clock.ahead += 3_600_000);
const opened: Before = (fixture, order) => fixture.deliverCodeEvent(order, "opened", Date.now());
const asked: Before = (fixture, order) => requestRefund(fixture, order, "buyer");
const disputed: Before = async (fixture, order) => {
  await fixture.stripeServer.control("POST", "disputes", {
    payment_intent: await stripeIdOf(fixture, order),
  });
  await settlePayment(fixture.deps, order.id, true);
};
const back: Before = async (fixture, order) => {
  await requestRefund(fixture, order, "administrator");
  await fixture.attemptReaches(order, "REFUNDED");
};

const wordOf = (status: RefundStatus | undefined): string =>
  Object.entries(RefundStatus).find(([, number]) => number === status)?.[0] ?? "";

/** The requester, the state before, and the result: the refund's status or the refusal's reason. */
const rules: [RefundRequester, Before, string][] = [
  ["administrator", nothing, "PENDING"],
  ["administrator", begun, "PENDING"],
  ["administrator", opened, "PENDING"],
  ["seller", halfAnHour, "PENDING"],
  ["seller", opened, "PENDING"],
  ["seller", begun, "REFUND_TOO_LATE"],
  ["buyer", almostHalfAnHour, "REQUESTED"],
  ["buyer", halfAnHour, "REFUND_TOO_LATE"],
  ["buyer", opened, "CODE_OPENED"],
  ["stranger", nothing, "PAYMENT_NOT_FOUND"],
  ["administrator", disputed, "DISPUTED"],
  ["seller", disputed, "DISPUTED"],
  ["buyer", disputed, "DISPUTED"],
  ["administrator", back, "NOTHING_TO_REFUND"],
  ["buyer", back, "NOTHING_TO_REFUND"],
  ["buyer", asked, "REFUND_IN_PROGRESS"],
  ["seller", asked, "PENDING"],
];

describe("permission to refund", () => {
  it("follows the table", async () => {
    const fixture = await paymentsFixture();
    const found: typeof rules = [];
    for (const [who, before] of rules) {
      fixture.clock.ahead = 0;
      const order = await completedOrder(fixture, { eventTime: inAnHour() });
      await before(fixture, order);
      const count = (await refundsOf(fixture, order)).length;
      const begun = await requestRefund(fixture, order, who).catch((error: unknown) => error);
      const isBegun = !(begun instanceof Error);
      expect(await refundsOf(fixture, order)).toHaveLength(isBegun ? count + 1 : count);
      if (isBegun) {
        const { refund } = begun as RefundPaymentResponse;
        expect(refund?.amount).toMatchObject(usd(25n, 500_000_000));
        expect(refund?.reason).toBe(RefundReason[who.toUpperCase() as "BUYER"]);
        found.push([who, before, wordOf(refund?.status)]);
      } else {
        found.push([who, before, (await refusal(Promise.reject(begun))).reason ?? ""]);
      }
    }
    expect(found).toEqual(rules);
  });

  it("is given to the seller while the money is held, if the ticket has no date", async () => {
    const fixture = await paymentsFixture();
    const [inTime, late] = [await completedOrder(fixture), await completedOrder(fixture)];
    fixture.clock.ahead += 14 * 86_400_000 - 60_000;
    await requestRefund(fixture, inTime, "seller");
    expect(await fixture.settled(inTime)).toBe("CANCELLED");
    fixture.clock.ahead += 120_000; // Now the money may be paid out.
    expect((await refusal(requestRefund(fixture, late, "seller"))).reason).toBe("REFUND_TOO_LATE");
  });

  it("is given to no one if nothing was captured; the seller does not see the payment yet", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const reasons = async () =>
      Promise.all(
        (["buyer", "administrator", "seller"] as const).map(
          async (who) => (await refusal(requestRefund(fixture, order, who))).reason,
        ),
      );
    expect(new Set(await reasons())).toEqual(new Set(["PAYMENT_NOT_FOUND"]));
    await fixture.pay(order);
    expect(await reasons()).toEqual([
      "NOTHING_TO_REFUND",
      "NOTHING_TO_REFUND",
      "PAYMENT_NOT_FOUND",
    ]);
  });

  it("has an end, which the error names", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    const { captureTime } = await fixture.load(order.id);
    fixture.clock.ahead += HALF_HOUR;
    const { metadata } = await refusal(requestRefund(fixture, order, "buyer"));
    const until = new Date((captureTime?.getTime() ?? 0) + HALF_HOUR).toISOString();
    expect(metadata).toEqual({ until });
  });
});

describe("the amount of a refund", () => {
  it("is chosen by an administrator, to the cent, and the rest remains refundable", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await requestRefund(fixture, order, "administrator", { amount: usd(0n, 10_000_000) });
    await fixture.attemptReaches(order, "PARTLY_REFUNDED");
    expect(await fixture.settled(order)).toBe("COMPLETED");
    await requestRefund(fixture, order, "seller");
    expect(await fixture.settled(order)).toBe("CANCELLED");
    const { refunds } = await fixture.stripeState(order);
    expect(refunds.map(({ amount }) => amount).toSorted((a, b) => a - b)).toEqual([1, 2549]);
    const { postings } = await fixture.load(order.id);
    expect(postings.map(({ _id }) => _id)).toEqual([
      (await fixture.load(order.id)).attempts[0]?._id,
      ...(await fixture.load(order.id)).refunds.map(({ _id }) => _id),
    ]);
  });

  it("is at least one minor unit, at most the rest, and in the payment's currency", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    const wrong = [
      [usd(25n, 510_000_000), "amount"],
      [usd(0n), "amount"],
      [usd(1n, -500_000_000), "amount.nanos"],
      [usd(0n, 1_000_000_000), "amount.nanos"],
      [usd(-1n), "amount"],
      [usd(1n, 1), "amount.nanos"],
      [{ currencyCode: "EUR", units: 1n, nanos: 0 }, "amount.currency_code"],
    ] as const;
    for (const [amount, field] of wrong) {
      expect(
        await refusal(requestRefund(fixture, order, "administrator", { amount })),
      ).toMatchObject({
        code: Code.InvalidArgument,
        violations: [field],
      });
    }
    expect(await refundsOf(fixture, order)).toEqual([]);
  });

  it("cannot be chosen by the buyer or the seller", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    for (const who of ["buyer", "seller"] as const) {
      const refused = await refusal(requestRefund(fixture, order, who, { amount: usd(1n) }));
      expect(refused).toMatchObject({ code: Code.PermissionDenied, reason: "NOT_ALLOWED" });
    }
  });

  it("is a multiple of ten minor units in a currency with three decimals", async () => {
    const fixture = await paymentsFixture();
    const kwd = (nanos: number) => ({ currencyCode: "KWD", units: 1n, nanos });
    const order = await completedOrder(fixture, { price: kwd(990_000_000) });
    const refused = await refusal(
      requestRefund(fixture, order, "administrator", { amount: kwd(985_000_000) }),
    );
    expect(refused.code).toBe(Code.InvalidArgument);
    await requestRefund(fixture, order, "administrator", { amount: kwd(980_000_000) });
    await refundReaches(fixture, order, "SUCCEEDED");
    expect((await fixture.stripeState(order)).refunds).toMatchObject([
      { amount: 1980, currency: "kwd" },
    ]);
  });
});

describe("an idempotent refund request", () => {
  it("returns the same refund, even after it has succeeded", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    const request = { requestId: crypto.randomUUID(), amount: usd(5n) };
    const asked = Array.from({ length: 5 }, () =>
      requestRefund(fixture, order, "administrator", request),
    );
    const ids = (await Promise.all(asked)).map(({ refund }) => refund?.id);
    await fixture.attemptReaches(order, "PARTLY_REFUNDED");
    ids.push((await requestRefund(fixture, order, "administrator", request)).refund?.id);
    expect(new Set(ids).size).toBe(1);
    expect((await fixture.stripeState(order)).refunds).toHaveLength(1);
  });

  it("is refused if it has another amount", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    const requestId = crypto.randomUUID();
    await requestRefund(fixture, order, "administrator", { requestId, amount: usd(5n) });
    const other = requestRefund(fixture, order, "administrator", { requestId, amount: usd(6n) });
    expect((await refusal(other)).reason).toBe("REQUEST_ID_REUSED");
  });
});

describe("a buyer's refund request", () => {
  it("is granted only after tickets has locked the code", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await requestRefund(fixture, order, "buyer");
    const asked = (await fixture.recordedEvents(order.id)).at(-1);
    expect(asked).toMatchObject({ name: "RefundRequested", payment: { orderId: order.id } });
    await fixture.settler.reconcile();
    expect(await refundsOf(fixture, order)).toEqual(["REQUESTED"]);
    expect((await fixture.stripeState(order)).refunds).toEqual([]);
    await fixture.deliverCodeEvent(order, "sealed");
    expect(await fixture.settled(order)).toBe("CANCELLED");
    expect((await fixture.recordedEvents(order.id)).at(-1)).toMatchObject({
      name: "ChargeRefunded",
      payment: { status: PaymentStatus.REFUNDED, refundedAmount: usd(25n, 500_000_000) },
    });
  });

  it("is refused if the code was revealed just before", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await requestRefund(fixture, order, "buyer");
    await fixture.deliverCodeEvent(order, "opened", 1_000);
    expect(await refundsOf(fixture, order)).toEqual(["REFUSED"]);
    expect((await fixture.load(order.id)).codeOpenTime).toEqual(new Date(1_000));
    expect((await refusal(requestRefund(fixture, order, "buyer"))).reason).toBe("CODE_OPENED");
    expect(await fixture.settled(order)).toBe("COMPLETED");
  });

  it("is not affected by the code of another ticket or of an unknown order", async () => {
    const fixture = await paymentsFixture();
    const order = await completedOrder(fixture);
    await requestRefund(fixture, order, "buyer");
    await fixture.deliverCodeEvent({ ...order, ticketId: "another" }, "sealed");
    await fixture.deliverCodeEvent(fixture.anOrder(), "sealed");
    await fixture.deliverCodeEvent({ ...order, ticketId: "another" }, "opened", 1);
    expect(await refundsOf(fixture, order)).toEqual(["REQUESTED"]);
  });

  it("has the same result in whatever order and however often code events are delivered", async () => {
    const fixture = await paymentsFixture();
    // Tickets publishes one of the two for an order, and publishes it again on request.
    // Whether each delivery precedes the request.
    const telling = fc.array(fc.boolean(), { maxLength: 6 });
    const said = fc.constantFrom("opened" as const, "sealed" as const);
    await fc.assert(
      fc.asyncProperty(said, telling, async (became, tellings) => {
        const order = await completedOrder(fixture);
        const deliver = () => fixture.deliverCodeEvent(order, became, 1_000);
        for (const early of tellings) if (early && became === "opened") await deliver();
        await requestRefund(fixture, order, "buyer").catch(() => undefined);
        await Promise.all([deliver(), ...tellings.map(deliver)]);
        if (became === "sealed") await fixture.attemptReaches(order, "REFUNDED");
        const end = await fixture.settled(order);
        expect(end).toBe(became === "opened" ? "COMPLETED" : "CANCELLED");
        const { codeOpenTime, refunds } = await fixture.load(order.id);
        expect(codeOpenTime).toEqual(became === "opened" ? new Date(1_000) : undefined);
        const succeeded = refunds.filter(({ status }) => status === "SUCCEEDED");
        expect(succeeded).toHaveLength(became === "opened" ? 0 : 1);
      }),
      { numRuns: cases(10) },
    );
  });
});

describe("GetPayment", () => {
  it("shows the seller the captured amounts, and nothing about the buyer", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    const get = async (userId: string, ...roles: string[]) =>
      fixture.client.getPayment({ orderId: order.id }, await as(userId, ...roles));
    await fixture.pay(order);
    expect((await refusal(get("sam"))).reason).toBe("PAYMENT_NOT_FOUND");
    await fixture.settled(order);
    await requestRefund(fixture, order, "administrator", { amount: usd(5n) });
    await fixture.attemptReaches(order, "PARTLY_REFUNDED");
    const { payment } = await get("sam");
    expect(payment).toMatchObject({
      orderId: order.id,
      status: PaymentStatus.PARTLY_REFUNDED,
      refundedAmount: usd(5n),
      disputeStatus: DisputeStatus.UNSPECIFIED,
      userId: "",
      stripeId: "",
      attempts: [],
      refunds: [],
    });
    expect((await get("root", "administrator")).payment).toEqual((await get("ann")).payment);
    expect((await get("ann")).payment?.refunds).toHaveLength(1);
  });

  it("shows an administrator none of the buyer's secrets", async () => {
    const fixture = await paymentsFixture();
    const order = await fixture.buy();
    await fixture.pay(order, "tok_threeDSecure2Required");
    const { headers } = await as("root", "administrator");
    const seen = await fixture.client.getPayment({ orderId: order.id }, { headers });
    expect(seen).toMatchObject({ clientSecret: "", actionUrl: "" });
    expect(seen.payment?.status).toBe(PaymentStatus.REQUIRES_ACTION);
  });
});
