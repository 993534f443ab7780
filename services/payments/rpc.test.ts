import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { CancelReason, type Order } from "@ticketing/proto/orders/v1/order";
import { OrderExtendedSchema } from "@ticketing/proto/orders/v1/order_events";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { PUBLIC_URL, world, type World } from "./testing/payments-fixture.ts";

const ASKED = "tok_threeDSecure2Required";

const get = async ({ client }: World, { id, userId }: Order) =>
  client.getPayment({ orderId: id }, await as(userId));

/** How often Stripe was asked for an intent from here on. */
async function countAsking({ fault, bank }: World): Promise<() => Promise<number>> {
  await fault({ method: "GET", path: "/v1/payment_intents", times: 1000, slow: 1 });
  return async () => {
    const ordered = (await bank.turn("GET", "faults")) as { met: number }[];
    return ordered.at(-1)?.met ?? 0;
  };
}

describe("GetPayment", () => {
  it("shows the buyer how the payment stands", async () => {
    const all = await world();
    const order = await all.buy();
    const { payment } = await all.pay(order);
    expect((await get(all, order)).payment).toEqual(payment);
    await all.settled(order);
    expect((await get(all, order)).payment).toMatchObject({
      attemptId: payment?.attemptId,
      status: PaymentStatus.CAPTURED,
      createTime: payment?.createTime,
    });
  });

  it("shows why the last attempt failed", async () => {
    const all = await world();
    const order = await all.buy();
    await refusal(all.pay(order, "tok_chargeDeclinedIncorrectCvc"));
    expect((await get(all, order)).payment).toMatchObject({
      status: PaymentStatus.FAILED,
      failureCode: "incorrect_cvc",
    });
  });

  it("knows nothing of an order that nobody has tried to pay, or that is somebody else's", async () => {
    const all = await world();
    const [unpaid, paid] = [await all.buy(), await all.buy()];
    await all.pay(paid);
    const found = await Promise.all([
      refusal(get(all, unpaid)),
      refusal(get(all, { ...paid, userId: "eve" })),
      refusal(get(all, { ...unpaid, id: newId() })),
    ]);
    for (const each of found) {
      expect(each).toMatchObject({ code: Code.NotFound, reason: "PAYMENT_NOT_FOUND" });
      expect(each).toEqual(found[0]);
    }
    const strange = await refusal(all.client.getPayment({ orderId: paid.id }));
    expect(strange.code).toBe(Code.Unauthenticated);
  });

  it("asks Stripe every two seconds at most, however often it is asked itself", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, ASKED);
    const asked = await countAsking(all);
    for (let i = 0; i < 10; i += 1) await get(all, order);
    expect(await asked()).toBe(1);
    all.clock.ahead += 2_000;
    for (let i = 0; i < 10; i += 1) await get(all, order);
    expect(await asked()).toBe(2);
  });

  it("asks Stripe nothing of a payment that is at rest", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order);
    await all.settled(order);
    const asked = await countAsking(all);
    await get(all, order);
    expect(await asked()).toBe(0);
  });

  it("answers what it knows while Stripe is down, and says why in no more than a line", async () => {
    const all = await world();
    const order = await all.buy();
    const { clientSecret } = await all.pay(order, ASKED);
    await all.fault({ fail: 500, times: 1000 });
    expect(await get(all, order)).toMatchObject({
      payment: { status: PaymentStatus.REQUIRES_ACTION },
      clientSecret,
    });
    expect(all.lines.filter(({ msg }) => msg === "the bank could not be asked")).toHaveLength(1);
  });
});

describe("3-D Secure", () => {
  it("hands over what the bank's page needs, as often as it is asked for", async () => {
    const all = await world();
    const order = await all.buy();
    const requestId = crypto.randomUUID();
    const { payment, clientSecret } = await all.pay(order, ASKED, { requestId });
    expect(payment?.status).toBe(PaymentStatus.REQUIRES_ACTION);
    const [intent] = (await all.books(order)).intents;
    expect(clientSecret).toBe(intent?.client_secret);
    expect((await all.pay(order, ASKED, { requestId })).clientSecret).toBe(clientSecret);
    expect((await get(all, order)).clientSecret).toBe(clientSecret);
    expect(await all.names(order)).toEqual(["PaymentActionRequired"]);
  });

  it("hands over the bank's page, which leads back to the order's", async () => {
    const all = await world();
    const order = await all.buy();
    const { actionUrl } = await all.pay(order, ASKED);
    expect((await get(all, order)).actionUrl).toBe(actionUrl);
    const answered = await fetch(actionUrl, {
      method: "POST",
      body: "answer=complete",
      redirect: "manual",
    });
    expect(answered.headers.get("location")).toContain(`${PUBLIC_URL}/orders/${order.id}?`);
    all.clock.ahead += 2_000;
    expect(await get(all, order)).toMatchObject({
      payment: { status: PaymentStatus.AUTHORIZED },
      actionUrl: "",
    });
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("stores those secrets nowhere", async () => {
    const all = await world();
    const order = await all.buy();
    const { clientSecret, actionUrl } = await all.pay(order, ASKED);
    const stored = JSON.stringify(await all.load(order.id));
    expect(stored).not.toContain(clientSecret);
    expect(stored).not.toContain(actionUrl);
  });

  it("may be given more time by orders: what has been extended can still be paid", async () => {
    const all = await world();
    const order = await all.buy({ expiresAt: timestampFromMs(Date.now() + 4_000) });
    expect((await refusal(all.pay(order))).reason).toBe("ORDER_EXPIRED");
    all.change(order, { expiresAt: timestampFromMs(Date.now() + 900_000) });
    await all.tell(OrderExtendedSchema, order);
    await all.pay(order);
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("authorizes the payment of a buyer who passes, once somebody looks", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, ASKED);
    await all.answerBank(order, "complete");
    expect(await get(all, order)).toMatchObject({
      payment: { status: PaymentStatus.AUTHORIZED },
      clientSecret: "",
    });
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("authorizes the payment of a buyer who passes and goes away, by Stripe's webhook", async () => {
    const all = await world({ webhooks: true });
    const order = await all.buy();
    await all.pay(order, ASKED);
    await all.answerBank(order, "complete");
    await all.reaches(order, "AUTHORIZED");
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("authorizes it by the reconciler where the webhook never comes", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, ASKED);
    await all.answerBank(order, "complete");
    all.clock.ahead += 61_000;
    await all.settler.reconcile();
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it.each(["webhook", "GetPayment", "reconciler"])(
    "is a slip for a buyer who fails, as the %s tells",
    async (how) => {
      const all = await world({ webhooks: how === "webhook" });
      const order = await all.buy();
      await all.pay(order, ASKED);
      await all.answerBank(order, "fail");
      if (how === "GetPayment") await get(all, order);
      if (how === "reconciler") await all.settler.reconcile();
      await all.reaches(order, "FAILED");
      const code = "payment_intent_authentication_failure";
      expect((await get(all, order)).payment?.failureCode).toBe(code);
      expect(await all.names(order)).toEqual(["PaymentActionRequired"]);
      // Otherwise the page, which has the secret, could go on with it.
      expect((await all.books(order)).intents).toMatchObject([{ status: "canceled" }]);
      await all.pay(order);
      expect(await all.settled(order)).toBe("COMPLETED");
    },
  );

  it("ends the order where the bank declines after all", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, "tok_threeDSecureRequiredChargeDeclined");
    await all.answerBank(order, "complete");
    expect((await get(all, order)).payment?.failureCode).toBe("generic_decline");
    expect(await all.names(order)).toEqual(["PaymentActionRequired", "ChargeFailed"]);
    expect(await all.settled(order)).toBe("CANCELLED");
  });

  it("is given up for a new attempt", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, ASKED);
    await all.pay(order, "tok_visa");
    const { intents } = await all.books(order);
    expect(intents.map(({ status }) => status)).toEqual(["canceled", "requires_capture"]);
    expect(await all.statuses(order)).toEqual(["FAILED", "AUTHORIZED"]);
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("is not given up for a new attempt where the buyer has passed already", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, ASKED);
    await all.answerBank(order, "complete");
    expect((await refusal(all.pay(order))).reason).toBe("PAYMENT_IN_PROGRESS");
    expect(await all.statuses(order)).toEqual(["AUTHORIZED"]);
    expect(await all.settled(order)).toBe("COMPLETED");
  });

  it("is over with the order's time: who passes then pays nothing", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, ASKED);
    const answer = await all.bankPage(order);
    await all.cancel(order, CancelReason.EXPIRED);
    await all.reaches(order, "FAILED");
    await answer("complete");
    expect((await all.books(order)).intents).toMatchObject([{ status: "canceled" }]);
    expect(await all.settled(order)).toBe("CANCELLED");
  });

  it("is voided where the buyer passes just as the time runs out", async () => {
    const all = await world();
    const order = await all.buy();
    await all.pay(order, ASKED);
    await all.answerBank(order, "complete");
    await all.cancel(order, CancelReason.EXPIRED);
    expect(await all.settled(order)).toBe("CANCELLED");
    expect((await all.books(order)).intents).toMatchObject([{ status: "canceled" }]);
  });
});
