import type { Money } from "@ticketing/proto/web-google/type/money";
import { minorUnits } from "#lib/format/money.ts";

/** The parts of Stripe.js that are used here. */
interface StripeJs {
  elements(options: object): Elements;
  createPaymentMethod(options: { elements: Elements }): Promise<{
    paymentMethod?: { id: string };
    error?: { message?: string };
  }>;
}
interface Elements {
  submit(): Promise<{ error?: { message?: string } }>;
  create(type: "payment"): { mount(container: HTMLElement): void; unmount(): void };
}

/** A card form on the page. */
export interface Card {
  /** Creates a payment method from the card, or returns what is wrong with it. */
  tokenize(): Promise<{ token?: string; error?: string }>;
  unmount(): void;
}

/** Mounts Stripe's Payment Element in the container. */
export async function mountCard(key: string, amount: Money, container: HTMLElement): Promise<Card> {
  const stripe = await loadStripe(key);
  // "manual": the payment is authorized now, and captured when the order accepts it.
  const elements = stripe.elements({
    mode: "payment",
    amount: Number(minorUnits(amount)),
    currency: amount.currencyCode.toLowerCase(),
    paymentMethodCreation: "manual",
    paymentMethodTypes: ["card"],
    captureMethod: "manual",
  });
  const field = elements.create("payment");
  field.mount(container);
  return {
    async tokenize() {
      const checked = await elements.submit();
      if (checked.error) return { error: checked.error.message ?? "Check your card details." };
      const { paymentMethod, error } = await stripe.createPaymentMethod({ elements });
      if (!paymentMethod) return { error: error?.message ?? "Check your card details." };
      return { token: paymentMethod.id };
    },
    unmount: () => field.unmount(),
  };
}

type Global = typeof globalThis & { Stripe?: (key: string) => StripeJs };

/** Loads Stripe.js from Stripe's own address, as Stripe requires. */
async function loadStripe(key: string): Promise<StripeJs> {
  const global = globalThis as Global;
  if (!global.Stripe)
    await new Promise<void>((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "https://js.stripe.com/v3/";
      script.onload = () => resolve();
      script.onerror = () => reject(new Error("Stripe.js could not be loaded"));
      document.head.append(script);
    });
  if (!global.Stripe) throw new Error("Stripe.js did not load");
  return global.Stripe(key);
}
