import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/ids.ts";
import { as } from "#runtime/testing.ts";
import { dying, hastyStripe, world, type Fault, type StripeStep } from "./testing.ts";

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
      what: "pay" | "pay twice at once" | "pay in a process that dies";
      card: string;
      step: StripeStep;
      after: boolean;
    }
  | { what: "the bank's answer"; passed: boolean }
  | { what: "orders decides" | "the buyer cancels" | "the time runs out" | "reconciler" }
  | { what: "Stripe's own capture" }
  | { what: "an event comes"; which: number; stays: boolean }
  | { what: "a fault"; fault: Fault };

const paying = (what: "pay" | "pay twice at once" | "pay in a process that dies") =>
  fc.record({
    what: fc.constant(what),
    card: fc.constantFrom(...cards),
    step: fc.constantFrom(...stepNames),
    after: fc.boolean(),
  });
const kinds: Fault[] = [{ drop: true }, { fail: 500 }, { fail: 500, late: true }, { slow: 20 }];

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 3, arbitrary: paying("pay") },
  paying("pay twice at once"),
  paying("pay in a process that dies"),
  fc.record({ what: fc.constant("the bank's answer" as const), passed: fc.boolean() }),
  { weight: 3, arbitrary: fc.constant({ what: "orders decides" as const }) },
  fc.constant({ what: "the buyer cancels" as const }),
  fc.constant({ what: "the time runs out" as const }),
  fc.constant({ what: "reconciler" as const }),
  fc.constant({ what: "Stripe's own capture" as const }),
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

/** What luck alone does not bring in every run. */
const paidAndAccepted: Happening[] = [
  { what: "pay", card: "tok_visa", step: "create", after: false },
  { what: "orders decides" },
];

describe("whatever happens, and in whatever order", () => {
  it("the money is kept if and only if the order is completed, and once (R62)", async () => {
    const all = await world();
    const ends = new Set<string>();
    const nothing = (): undefined => undefined;

    async function happen(
      order: Awaited<ReturnType<typeof all.buy>>,
      it: Happening,
      mail: (() => Promise<unknown>)[],
    ) {
      const isOpen = order.status === OrderStatus.CREATED;
      switch (it.what) {
        case "pay":
          return all.pay(order, it.card).catch(nothing);
        case "pay twice at once":
          return Promise.allSettled([all.pay(order, it.card), all.pay(order, it.card)]);
        case "pay in a process that dies": {
          const { stripe, died } = dying(
            hastyStripe(all.bank.base),
            it.step,
            it.after ? "after" : "before",
          );
          const { client, settler } = all.start(stripe);
          const call = client.createPayment({ orderId: order.id, token: it.card }, await as("ann"));
          await Promise.race([call.catch(nothing), died]);
          return void settler.close();
        }
        case "the bank's answer":
          return all.answerBank(order, it.passed ? "complete" : "fail").catch(nothing);
        case "orders decides":
          return all.decide(order);
        case "the buyer cancels":
        case "the time runs out":
          return isOpen && all.cancel(order, it.what === "the buyer cancels" ? 1 : 2);
        case "reconciler":
          all.clock.ahead += 61_000;
          return all.settler.reconcile();
        case "Stripe's own capture": {
          const stripeId = (await all.load(order.id)).attempts.at(-1)?.stripeId ?? "pi_none";
          return hastyStripe(all.bank.base).paymentIntents.capture(stripeId).catch(nothing);
        }
        case "an event comes": {
          const [deliver] = mail.splice(it.which % (mail.length || 1), 1);
          if (deliver && it.stays) mail.push(deliver);
          return deliver?.();
        }
        case "a fault":
          return all.fault(it.fault);
      }
    }

    await fc.assert(
      fc.asyncProperty(fc.array(happening, { minLength: 2, maxLength: 12 }), async (story) => {
        all.clock.ahead = 0;
        const mail: (() => Promise<unknown>)[] = [];
        const order = await all.buy({ id: newId() });
        all.hold(mail);
        for (const each of story) await happen(order, each, mail);
        // Then the faults are over, what is late arrives, and the time runs out.
        await all.bank.turn("DELETE", "faults");
        all.hold(undefined);
        for (const deliver of mail.toReversed()) await deliver();
        all.clock.ahead += 61_000;
        await all.settler.reconcile();
        await all.decide(order);
        if (order.status === OrderStatus.CREATED) await all.cancel(order, 2);
        ends.add(await all.settled(order));
      }),
      { numRuns: 25, examples: [[paidAndAccepted]] },
    );
    expect(ends).toEqual(new Set(["COMPLETED", "CANCELLED"]));
  });
});
