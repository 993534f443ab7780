import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { local, intentParams } from "../testing.ts";

const token = (name: string) => ({
  payment_method_data: { type: "card", card: { token: name } } as const,
});

describe("3-D Secure", () => {
  const return_url = "http://shop.example/orders/1?tab=pay";

  async function asked(stripe: Stripe, name = "tok_threeDSecure2Required") {
    const { id } = await stripe.paymentIntents.create(intentParams);
    const intent = await stripe.paymentIntents.confirm(id, { ...token(name), return_url });
    expect(intent).toMatchObject({ status: "requires_action", latest_charge: null });
    return { id, url: String(intent.next_action?.redirect_to_url?.url) };
  }

  const press = (url: string, answer: string) =>
    fetch(url, { method: "POST", body: new URLSearchParams({ answer }), redirect: "manual" });

  it("authorizes the payment after the buyer completes it, and redirects to the shop", async () => {
    const { stripe } = await local();
    const { id, url } = await asked(stripe);
    expect(await (await fetch(url)).text()).toContain("$19.99");
    const response = await press(url, "complete");
    const back = new URL(String(response.headers.get("location")));
    expect(`${back.origin}${back.pathname}`).toBe("http://shop.example/orders/1");
    expect(Object.fromEntries(back.searchParams)).toMatchObject({
      tab: "pay",
      payment_intent: id,
      redirect_status: "succeeded",
    });
    expect((await stripe.paymentIntents.retrieve(id)).status).toBe("requires_capture");
  });

  it("requires another payment method after the buyer fails it", async () => {
    const { stripe } = await local();
    const { id, url } = await asked(stripe);
    const response = await press(url, "fail");
    expect(response.headers.get("location")).toContain("redirect_status=failed");
    expect(await stripe.paymentIntents.retrieve(id)).toMatchObject({
      status: "requires_payment_method",
      last_payment_error: { code: "payment_intent_authentication_failure" },
      latest_charge: null,
    });
  });

  it("does not prevent a decline by the bank afterwards", async () => {
    const { stripe } = await local();
    const { id, url } = await asked(stripe, "tok_threeDSecureRequiredChargeDeclined");
    await press(url, "complete");
    const { status, last_payment_error } = await stripe.paymentIntents.retrieve(id);
    expect([status, last_payment_error?.code]).toEqual([
      "requires_payment_method",
      "card_declined",
    ]);
  });

  it("changes nothing after a cancellation or without the client secret", async () => {
    const { stripe, base } = await local();
    const { id, url } = await asked(stripe);
    expect((await press(`${base}/challenge/${id}`, "complete")).status).toBe(404);
    await stripe.paymentIntents.cancel(id);
    await press(url, "complete");
    expect((await stripe.paymentIntents.retrieve(id)).status).toBe("canceled");
  });

  it("is left to the SDK if there is no return URL", async () => {
    const { stripe } = await local();
    const payment_method = "pm_card_threeDSecure2Required";
    const intent = await stripe.paymentIntents.create({
      ...intentParams,
      payment_method,
      confirm: true,
    });
    expect(intent.next_action?.type).toBe("use_stripe_sdk");
  });

  it.each(["pm_card_threeDSecureRequired", "pm_card_authenticationRequired"])(
    "redirects the buyer of %s to the page of the bank",
    async (payment_method) => {
      const { stripe, base } = await local();
      const { id } = await stripe.paymentIntents.create({ ...intentParams, payment_method });
      const { next_action } = await stripe.paymentIntents.confirm(id, { return_url });
      expect(next_action).toMatchObject({
        type: "redirect_to_url",
        redirect_to_url: { return_url },
      });
      expect(next_action?.redirect_to_url?.url).toContain(`${base}/challenge/${id}`);
    },
  );

  it("is a page without scripts that has a link back to the shop", async () => {
    const { stripe } = await local();
    const { url } = await asked(stripe);
    const response = await fetch(url);
    expect(response.headers.get("content-type")).toContain("text/html");
    const html = await response.text();
    expect(html).not.toContain("<script");
    expect(html).toContain(`<a href="${return_url}">Back to the shop</a>`);
    expect(html).toContain('name="referrer" content="no-referrer"'); // The URL is secret.
  });

  it("redirects to the shop if the payment was canceled meanwhile", async () => {
    const { stripe } = await local();
    const { id, url } = await asked(stripe);
    await stripe.paymentIntents.cancel(id);
    expect(await (await fetch(url)).text()).toContain("Back to the shop");
    const response = await press(url, "complete");
    expect(response.headers.get("location")).toMatch(/^http:\/\/shop.*redirect_status=failed/);
  });
});
