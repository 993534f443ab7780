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
import { settle } from "../settlement/settlement.ts";
import {
  askBack,
  bought,
  refundIs,
  refundsOf,
  stripeIdOf,
  type Asker,
} from "../testing/refunds.ts";
import { world, type World } from "../testing/payments-fixture.ts";

const HALF_HOUR = 30 * 60_000;
const usd = (units: bigint, nanos = 0) => ({ currencyCode: "USD", units, nanos });
const inAnHour = () => timestampFromMs(Date.now() + 3_600_000);

/** What may have happened to a payment before somebody wants its money back. */
type Before = (all: World, order: Order) => unknown;

const nothing: Before = () => undefined;
const halfAnHour: Before = ({ clock }) => (clock.ahead += HALF_HOUR);
const almostHalfAnHour: Before = ({ clock }) => (clock.ahead += HALF_HOUR - 10_000);
const begun: Before = ({ clock }) => (clock.ahead += 3_600_000);
const opened: Before = (all, order) => all.tellCode(order, "opened", Date.now());
const asked: Before = (all, order) => askBack(all, order, "buyer");
const disputed: Before = async (all, order) => {
  await all.bank.turn("POST", "disputes", { payment_intent: await stripeIdOf(all, order) });
  await settle(all.deps, order.id, true);
};
const back: Before = async (all, order) => {
  await askBack(all, order, "administrator");
  await all.reaches(order, "REFUNDED");
};

const wordOf = (status: RefundStatus | undefined): string =>
  Object.entries(RefundStatus).find(([, number]) => number === status)?.[0] ?? "";

/** Who, after what has happened, and what comes of it: where the refund stands, or why there is none. */
const rules: [Asker, Before, string][] = [
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

describe("who may have money given back, and until when", () => {
  it("is as the table says", async () => {
    const all = await world();
    const found: typeof rules = [];
    for (const [who, before] of rules) {
      all.clock.ahead = 0;
      const order = await bought(all, { eventTime: inAnHour() });
      await before(all, order);
      const count = (await refundsOf(all, order)).length;
      const begun = await askBack(all, order, who).catch((error: unknown) => error);
      const isBegun = !(begun instanceof Error);
      expect(await refundsOf(all, order)).toHaveLength(isBegun ? count + 1 : count);
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

  it("a seller, while the money is held, where the ticket has no date", async () => {
    const all = await world();
    const [inTime, late] = [await bought(all), await bought(all)];
    all.clock.ahead += 14 * 86_400_000 - 60_000;
    await askBack(all, inTime, "seller");
    expect(await all.settled(inTime)).toBe("CANCELLED");
    all.clock.ahead += 120_000; // Now it may be paid out.
    expect((await refusal(askBack(all, late, "seller"))).reason).toBe("REFUND_TOO_LATE");
  });

  it("nobody, where no money was taken; to the seller there is no payment yet", async () => {
    const all = await world();
    const order = await all.buy();
    const reasons = async () =>
      Promise.all(
        (["buyer", "administrator", "seller"] as const).map(
          async (who) => (await refusal(askBack(all, order, who))).reason,
        ),
      );
    expect(new Set(await reasons())).toEqual(new Set(["PAYMENT_NOT_FOUND"]));
    await all.pay(order);
    expect(await reasons()).toEqual([
      "NOTHING_TO_REFUND",
      "NOTHING_TO_REFUND",
      "PAYMENT_NOT_FOUND",
    ]);
  });

  it("and says until when it was possible", async () => {
    const all = await world();
    const order = await bought(all);
    const { captureTime } = await all.load(order.id);
    all.clock.ahead += HALF_HOUR;
    const { metadata } = await refusal(askBack(all, order, "buyer"));
    const until = new Date((captureTime?.getTime() ?? 0) + HALF_HOUR).toISOString();
    expect(metadata).toEqual({ until });
  });
});

describe("how much", () => {
  it("an administrator may say, down to the last cent; the rest is what goes back next", async () => {
    const all = await world();
    const order = await bought(all);
    await askBack(all, order, "administrator", { amount: usd(0n, 10_000_000) });
    await all.reaches(order, "PARTLY_REFUNDED");
    expect(await all.settled(order)).toBe("COMPLETED");
    await askBack(all, order, "seller");
    expect(await all.settled(order)).toBe("CANCELLED");
    const { refunds } = await all.books(order);
    expect(refunds.map(({ amount }) => amount).toSorted((a, b) => a - b)).toEqual([1, 2549]);
    const { postings } = await all.load(order.id);
    expect(postings.map(({ _id }) => _id)).toEqual([
      (await all.load(order.id)).attempts[0]?._id,
      ...(await all.load(order.id)).refunds.map(({ _id }) => _id),
    ]);
  });

  it("is no less than a coin, no more than is left, and in the currency of the payment", async () => {
    const all = await world();
    const order = await bought(all);
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
      expect(await refusal(askBack(all, order, "administrator", { amount }))).toMatchObject({
        code: Code.InvalidArgument,
        violations: [field],
      });
    }
    expect(await refundsOf(all, order)).toEqual([]);
  });

  it("is not for the buyer to say, nor for the seller", async () => {
    const all = await world();
    const order = await bought(all);
    for (const who of ["buyer", "seller"] as const) {
      const refused = await refusal(askBack(all, order, who, { amount: usd(1n) }));
      expect(refused).toMatchObject({ code: Code.PermissionDenied, reason: "NOT_ALLOWED" });
    }
  });

  it("of a currency with three digits only in tens of its smallest coin", async () => {
    const all = await world();
    const kwd = (nanos: number) => ({ currencyCode: "KWD", units: 1n, nanos });
    const order = await bought(all, { price: kwd(990_000_000) });
    const refused = await refusal(
      askBack(all, order, "administrator", { amount: kwd(985_000_000) }),
    );
    expect(refused.code).toBe(Code.InvalidArgument);
    await askBack(all, order, "administrator", { amount: kwd(980_000_000) });
    await refundIs(all, order, "SUCCEEDED");
    expect((await all.books(order)).refunds).toMatchObject([{ amount: 1980, currency: "kwd" }]);
  });
});

describe("the same request", () => {
  it("again gives the same refund, also when it is done", async () => {
    const all = await world();
    const order = await bought(all);
    const request = { requestId: crypto.randomUUID(), amount: usd(5n) };
    const asked = Array.from({ length: 5 }, () => askBack(all, order, "administrator", request));
    const ids = (await Promise.all(asked)).map(({ refund }) => refund?.id);
    await all.reaches(order, "PARTLY_REFUNDED");
    ids.push((await askBack(all, order, "administrator", request)).refund?.id);
    expect(new Set(ids).size).toBe(1);
    expect((await all.books(order)).refunds).toHaveLength(1);
  });

  it("for another amount is refused", async () => {
    const all = await world();
    const order = await bought(all);
    const requestId = crypto.randomUUID();
    await askBack(all, order, "administrator", { requestId, amount: usd(5n) });
    const other = askBack(all, order, "administrator", { requestId, amount: usd(6n) });
    expect((await refusal(other)).reason).toBe("REQUEST_ID_REUSED");
  });
});

describe("what the buyer wants back", () => {
  it("is back once tickets has sealed the code, and not before", async () => {
    const all = await world();
    const order = await bought(all);
    await askBack(all, order, "buyer");
    const asked = (await all.heard(order.id)).at(-1);
    expect(asked).toMatchObject({ name: "RefundRequested", payment: { orderId: order.id } });
    await all.settler.reconcile();
    expect(await refundsOf(all, order)).toEqual(["REQUESTED"]);
    expect((await all.books(order)).refunds).toEqual([]);
    await all.tellCode(order, "sealed");
    expect(await all.settled(order)).toBe("CANCELLED");
    expect((await all.heard(order.id)).at(-1)).toMatchObject({
      name: "ChargeRefunded",
      payment: { status: PaymentStatus.REFUNDED, refundedAmount: usd(25n, 500_000_000) },
    });
  });

  it("is refused where the code was opened just before", async () => {
    const all = await world();
    const order = await bought(all);
    await askBack(all, order, "buyer");
    await all.tellCode(order, "opened", 1_000);
    expect(await refundsOf(all, order)).toEqual(["REFUSED"]);
    expect((await all.load(order.id)).codeOpenTime).toEqual(new Date(1_000));
    expect((await refusal(askBack(all, order, "buyer"))).reason).toBe("CODE_OPENED");
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("is not touched by the code of another ticket, or of an order that nobody knows", async () => {
    const all = await world();
    const order = await bought(all);
    await askBack(all, order, "buyer");
    await all.tellCode({ ...order, ticketId: "another" }, "sealed");
    await all.tellCode(all.anOrder(), "sealed");
    await all.tellCode({ ...order, ticketId: "another" }, "opened", 1);
    expect(await refundsOf(all, order)).toEqual(["REQUESTED"]);
  });

  it("ends the same in whatever order, and however often, is heard what became of the code", async () => {
    const all = await world();
    // Tickets says one of the two of an order, and says it again whenever it is asked.
    const telling = fc.array(fc.boolean(), { maxLength: 6 }); // Whether each comes before the wish.
    const said = fc.constantFrom("opened" as const, "sealed" as const);
    await fc.assert(
      fc.asyncProperty(said, telling, async (became, tellings) => {
        const order = await bought(all);
        const tell = () => all.tellCode(order, became, 1_000);
        for (const early of tellings) if (early && became === "opened") await tell();
        await askBack(all, order, "buyer").catch(() => undefined);
        await Promise.all([tell(), ...tellings.map(tell)]);
        if (became === "sealed") await all.reaches(order, "REFUNDED");
        const end = await all.settled(order);
        expect(end).toBe(became === "opened" ? "COMPLETED" : "CANCELLED");
        const { codeOpenTime, refunds } = await all.load(order.id);
        expect(codeOpenTime).toEqual(became === "opened" ? new Date(1_000) : undefined);
        const succeeded = refunds.filter(({ status }) => status === "SUCCEEDED");
        expect(succeeded).toHaveLength(became === "opened" ? 0 : 1);
      }),
      { numRuns: 10 },
    );
  });
});

describe("GetPayment", () => {
  it("shows its seller the amounts of money that was taken, and nothing of the buyer", async () => {
    const all = await world();
    const order = await all.buy();
    const get = async (userId: string, ...roles: string[]) =>
      all.client.getPayment({ orderId: order.id }, await as(userId, ...roles));
    await all.pay(order);
    expect((await refusal(get("sam"))).reason).toBe("PAYMENT_NOT_FOUND");
    await all.settled(order);
    await askBack(all, order, "administrator", { amount: usd(5n) });
    await all.reaches(order, "PARTLY_REFUNDED");
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

  it("shows an administrator no secret of the buyer's", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, "tok_threeDSecure2Required");
    const { headers } = await as("root", "administrator");
    const seen = await all.client.getPayment({ orderId: order.id }, { headers });
    expect(seen).toMatchObject({ clientSecret: "", actionUrl: "" });
    expect(seen.payment?.status).toBe(PaymentStatus.REQUIRES_ACTION);
  });
});
