import { OrderStatus, type Order } from "@ticketing/proto/orders/v1/order";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { toMoney } from "#runtime/values/money.ts";
import { expectCounterexample } from "#runtime/testing/event-orders.ts";
import { as } from "#runtime/testing/tokens.ts";
import { cases } from "#runtime/testing/thoroughness.ts";
import { settlePayment } from "../settlement/settlement.ts";
import { requestRefund, stripeIdOf, type RefundRequester } from "../testing/refunds.ts";
import {
  fastRetryStripe,
  type StripeFault,
  crashingStripe,
  type StripeStep,
} from "../testing/stripe-fixture.ts";
import { paymentsFixture, type PaymentsFixture } from "../testing/payments-fixture.ts";

const cards = [
  "tok_visa",
  "tok_threeDSecure2Required",
  "tok_threeDSecureRequiredChargeDeclined",
  "tok_chargeDeclined",
  "tok_chargeDeclinedIncorrectCvc",
];
const paths = ["/v1/payment_intents", "/confirm", "/capture", "/cancel", "/v1/refunds"];
const stepNames: StripeStep[] = ["create", "confirm", "capture", "cancel", "refund"];

/** Something that may happen to an order and its payment, at any time. */
type Happening =
  | {
      what: "pay" | "pay twice at once" | "pay in a process that crashes";
      card: string;
      step: StripeStep;
      after: boolean;
    }
  | { what: "the bank's answer"; passed: boolean }
  | { what: "orders decides" | "the buyer cancels" | "the order expires" | "reconciler" }
  | { what: "Stripe's own capture" }
  | { what: "a refund request"; who: RefundRequester; cents: number }
  | { what: "a refund in the Dashboard"; cents: number }
  | { what: "the code is revealed" | "tickets answers" }
  | { what: "an event comes"; which: number; stays: boolean }
  | { what: "a fault"; fault: StripeFault };

const paying = (what: "pay" | "pay twice at once" | "pay in a process that crashes") =>
  fc.record({
    what: fc.constant(what),
    card: fc.constantFrom(...cards),
    step: fc.constantFrom(...stepNames),
    after: fc.boolean(),
  });
const kinds: StripeFault[] = [
  { drop: true },
  { fail: 500 },
  { fail: 500, late: true },
  { slow: 20 },
];

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 3, arbitrary: paying("pay") },
  paying("pay twice at once"),
  paying("pay in a process that crashes"),
  fc.record({ what: fc.constant("the bank's answer" as const), passed: fc.boolean() }),
  { weight: 3, arbitrary: fc.constant({ what: "orders decides" as const }) },
  fc.constant({ what: "the buyer cancels" as const }),
  fc.constant({ what: "the order expires" as const }),
  fc.constant({ what: "reconciler" as const }),
  fc.constant({ what: "Stripe's own capture" as const }),
  fc.record({
    what: fc.constant("a refund request" as const),
    who: fc.constantFrom<RefundRequester>("buyer", "seller", "administrator", "stranger"),
    cents: fc.constantFrom(0, 1, 1275, 2550), // 0 means the whole amount.
  }),
  fc.record({
    what: fc.constant("a refund in the Dashboard" as const),
    cents: fc.constantFrom(1, 1275, 2550),
  }),
  fc.constant({ what: "the code is revealed" as const }),
  fc.constant({ what: "tickets answers" as const }),
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("an event comes" as const),
      which: fc.nat(),
      stays: fc.boolean(),
    }),
  },
  fc.record({
    what: fc.constant("a fault" as const),
    fault: fc
      .tuple(fc.constantFrom(...paths), fc.constantFrom(...kinds), fc.integer({ min: 1, max: 4 }))
      .map(([path, kind, times]) => ({ method: "POST", path, times, ...kind })),
  }),
);

/** Sequences that random generation does not produce in every run. */
const paidAndAccepted: Happening[] = [
  { what: "pay", card: "tok_visa", step: "create", after: false },
  { what: "orders decides" },
];
const soldAndGivenBack: Happening[] = [
  ...paidAndAccepted,
  { what: "an event comes", which: 0, stays: false },
  { what: "reconciler" },
  { what: "orders decides" },
  { what: "an event comes", which: 0, stays: true },
  { what: "a refund request", who: "administrator", cents: 1 },
  { what: "a refund in the Dashboard", cents: 1275 },
  { what: "a fault", fault: { method: "POST", path: "/v1/refunds", drop: true, times: 4 } },
  { what: "a refund request", who: "buyer", cents: 0 },
  { what: "tickets answers" },
];

type Mail = (() => Promise<unknown>)[];
const nothing = (): undefined => undefined;

/** Whether the code of an order's ticket was revealed or locked; only tickets knows. */
type Codes = Map<string, "opened" | "sealed">;

/** Tickets answers a buyer's refund request: it locks the code, unless the code was revealed. */
async function answerAsTickets(
  fixture: PaymentsFixture,
  order: Order,
  codes: Codes,
): Promise<void> {
  const { refunds } = await fixture.load(order.id);
  if (!refunds.some(({ status }) => status === "REQUESTED")) return;
  const became = codes.get(order.id) ?? "sealed";
  codes.set(order.id, became);
  await fixture.deliverCodeEvent(order, became);
}

async function happen(
  fixture: PaymentsFixture,
  order: Order,
  it: Happening,
  mail: Mail,
  codes: Codes,
) {
  const isOpen = order.status === OrderStatus.CREATED;
  const stripe = fastRetryStripe(fixture.stripeServer.base);
  switch (it.what) {
    case "pay":
      return fixture.pay(order, it.card).catch(nothing);
    case "pay twice at once":
      return Promise.allSettled([fixture.pay(order, it.card), fixture.pay(order, it.card)]);
    case "pay in a process that crashes": {
      const { stripe: mortal, died } = crashingStripe(
        stripe,
        it.step,
        it.after ? "after" : "before",
      );
      const { client, settler } = fixture.start(mortal);
      const call = client.createPayment({ orderId: order.id, token: it.card }, await as("ann"));
      await Promise.race([call.catch(nothing), died]);
      return void settler.close();
    }
    case "the bank's answer":
      return fixture.answerBank(order, it.passed ? "complete" : "fail").catch(nothing);
    case "orders decides":
      return fixture.decide(order);
    case "the buyer cancels":
    case "the order expires":
      return isOpen && fixture.cancel(order, it.what === "the buyer cancels" ? 1 : 2);
    case "reconciler":
      fixture.clock.ahead += 61_000;
      return fixture.settler.reconcile();
    case "Stripe's own capture":
      return stripe.paymentIntents.capture(await stripeIdOf(fixture, order)).catch(nothing);
    case "a refund request": {
      const amount = toMoney({ amount: it.cents, currency: "USD" });
      return requestRefund(fixture, order, it.who, it.cents > 0 ? { amount } : {}).catch(nothing);
    }
    case "a refund in the Dashboard": {
      const payment_intent = await stripeIdOf(fixture, order);
      return stripe.refunds.create({ payment_intent, amount: it.cents }).catch(nothing);
    }
    case "the code is revealed":
      if (order.status !== OrderStatus.COMPLETED || codes.get(order.id) === "sealed") return;
      codes.set(order.id, "opened");
      return fixture.deliverCodeEvent(order, "opened");
    case "tickets answers":
      return answerAsTickets(fixture, order, codes);
    case "an event comes": {
      const [deliver] = mail.splice(it.which % (mail.length || 1), 1);
      if (deliver && it.stays) mail.push(deliver);
      return deliver?.();
    }
    case "a fault":
      return fixture.fault(it.fault);
  }
}

/** After any sequence of events the amounts balance: in payments, in orders and at Stripe. */
const itBalances = (
  fixture: PaymentsFixture,
  stories: fc.Arbitrary<Happening[]>,
  ends = new Set<string>(),
) =>
  fc.asyncProperty(stories, async (story) => {
    fixture.clock.ahead = 0;
    const mail: Mail = [];
    const codes: Codes = new Map();
    const order = await fixture.buy({ id: newId() });
    fixture.hold(mail);
    for (const each of story) await happen(fixture, order, each, mail, codes);
    // Then the faults end, late events arrive, and the order expires.
    await fixture.stripeServer.control("DELETE", "faults");
    fixture.hold(undefined);
    for (const deliver of mail.toReversed()) await deliver();
    fixture.clock.ahead += 61_000;
    await fixture.settler.reconcile();
    await fixture.decide(order);
    if (order.status === OrderStatus.CREATED) await fixture.cancel(order, 2);
    await fixture.settled(order, false);
    await answerAsTickets(fixture, order, codes);
    await settlePayment(fixture.deps, order.id, true); // As a webhook does.
    ends.add(await fixture.settled(order));
  });

const anyStory = fc.array(happening, { minLength: 2, maxLength: 12 });

describe("after any sequence of events", () => {
  it("the money is captured once if the order is completed, and otherwise not kept (R62)", async () => {
    const ends = new Set<string>();
    await fc.assert(itBalances(await paymentsFixture(), anyStory, ends), {
      numRuns: cases(25),
      examples: [[paidAndAccepted], [soldAndGivenBack]],
    });
    expect(ends).toEqual(new Set(["COMPLETED", "CANCELLED"]));
  });

  it("the money is wrong if changes are saved without optimistic concurrency", async () => {
    const rivals = fc.constant<Happening[]>([
      { what: "pay twice at once", card: "tok_visa", step: "create", after: false },
      { what: "orders decides" },
    ]);
    await expectCounterexample(itBalances(await paymentsFixture({ unguarded: true }), rivals));
  });
});
