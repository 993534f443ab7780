import type { Money } from "@ticketing/proto/web-google/type/money";
import { minorUnits } from "#lib/format/money.ts";

/** As much of Stripe.js as is used here. */
interface StripeJs {
  elements(options: object): Elements;
  createPaymentMethod(options: { elements: Elements }): Promise<{
    paymentMethod?: { id: string };
    error?: { message?: string };
  }>;
}
interface Elements {
  submit(): Promise<{ error?: { message?: string } }>;
  create(type: "payment"): { mount(box: HTMLElement): void; unmount(): void };
}

/** A card field on the page. */
export interface Card {
  /** Stripe's payment method for what was typed, or what is wrong with it. */
  tokenize(): Promise<{ token?: string; problem?: string }>;
  unmount(): void;
}

/** Puts Stripe's Payment Element into `box`. */
export async function mountCard(key: string, amount: Money, box: HTMLElement): Promise<Card> {
  const stripe = await stripeJs(key);
  // Authorized now and captured when the order accepts it: hence "manual".
  const elements = stripe.elements({
    mode: "payment",
    amount: Number(minorUnits(amount)),
    currency: amount.currencyCode.toLowerCase(),
    paymentMethodCreation: "manual",
    paymentMethodTypes: ["card"],
    captureMethod: "manual",
  });
  const field = elements.create("payment");
  field.mount(box);
  return {
    async tokenize() {
      const checked = await elements.submit();
      if (checked.error) return { problem: checked.error.message ?? "Check the card." };
      const { paymentMethod, error } = await stripe.createPaymentMethod({ elements });
      if (!paymentMethod) return { problem: error?.message ?? "Check the card." };
      return { token: paymentMethod.id };
    },
    unmount: () => field.unmount(),
  };
}

type Global = typeof globalThis & { Stripe?: (key: string) => StripeJs };

/** Stripe asks that its script come from its own address, and not from ours. */
async function stripeJs(key: string): Promise<StripeJs> {
  const global = globalThis as Global;
  if (!global.Stripe)
    await new Promise<void>((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "https://js.stripe.com/v3/";
      script.onload = () => resolve();
      script.onerror = () => reject(new Error("Stripe.js could not be loaded"));
      document.head.append(script);
    });
  if (!global.Stripe) throw new Error("Stripe.js is not there");
  return global.Stripe(key);
}
