import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { errorOf, local, sdk, secretOf, intentParams } from "../testing.ts";

type Create = Stripe.PaymentIntentCreateParams;

describe("a request", () => {
  it.each([
    ["an unknown parameter", { colour: "red" }, "parameter_unknown", "colour"],
    [
      "an unknown parameter within another",
      { payment_method_data: { type: "card", cvc: "1" } },
      "parameter_unknown",
      "payment_method_data[cvc]",
    ],
    ["a string as an integer", { amount: "ten" }, "parameter_invalid_integer", "amount"],
    ["a fraction", { amount: 19.99 }, "parameter_invalid_integer", "amount"],
    ["an amount of zero", { amount: 0 }, "parameter_invalid_integer", "amount"],
    ["an amount that is too small", { amount: 49 }, "amount_too_small", "amount"],
    ["an amount that is too large", { amount: 100_000_000 }, "amount_too_large", "amount"],
    ["an empty string", { description: "" }, "parameter_invalid_empty", "description"],
    ["an unknown currency", { currency: "xyz" }, undefined, "currency"],
    ["an unknown capture method", { capture_method: "later" }, undefined, "capture_method"],
    ["an invalid URL", { confirm: true, return_url: "shop" }, "url_invalid", "return_url"],
    ["an unknown payment method", { payment_method: "pm_x" }, "resource_missing", "payment_method"],
    [
      "an unknown token",
      { payment_method_data: { type: "card", card: { token: "tok_x" } } },
      "resource_missing",
      "payment_method_data[card][token]",
    ],
  ])("with %s is rejected", async (_, wrong, code, param) => {
    const { stripe, callTestApi } = await local();
    const error = await errorOf(
      stripe.paymentIntents.create({ ...intentParams, ...wrong } as Create),
    );
    expect(error).toMatchObject({ statusCode: 400, type: "StripeInvalidRequestError", param });
    expect(error.code).toBe(code);
    expect(await callTestApi("GET", "records")).toMatchObject({ payment_intents: [], events: [] });
  });

  it("without a required parameter is rejected", async () => {
    const { stripe } = await local();
    const error = await errorOf(stripe.paymentIntents.create({ currency: "usd" } as Create));
    expect(error).toMatchObject({ code: "parameter_missing", param: "amount" });
  });

  it("needs a return URL if Stripe can choose a payment method that redirects", async () => {
    const { stripe } = await local();
    const params = { amount: 1999, currency: "usd", payment_method: "pm_card_visa", confirm: true };
    const error = await errorOf(stripe.paymentIntents.create(params));
    expect(error.message).toContain("you must provide a `return_url`");
    const automatic_payment_methods = { enabled: true, allow_redirects: "never" } as const;
    const paid = await stripe.paymentIntents.create({ ...params, automatic_payment_methods });
    expect(paid.status).toBe("succeeded");
  });

  it("for an unknown object or path returns 404", async () => {
    const { stripe, base, secretKey } = await local();
    const missing = await errorOf(stripe.paymentIntents.retrieve("pi_none"));
    expect(missing).toMatchObject({ statusCode: 404, code: "resource_missing", param: "intent" });
    const headers = { authorization: `Bearer ${secretKey}` };
    const response = await fetch(`${base}/v1/nothing`, { headers });
    const body = (await response.json()) as { error: { message: string } };
    expect([response.status, body.error.message]).toEqual([
      404,
      expect.stringContaining("Unrecognized request URL (GET: /v1/nothing)"),
    ]);
  });

  it("requires the secret key", async () => {
    const { base, secretKey } = await local();
    const stranger = sdk(secretOf("sk_test"), Number(new URL(base).port));
    const error = await errorOf(stranger.paymentIntents.create(intentParams));
    expect(error).toMatchObject({ statusCode: 401, type: "StripeAuthenticationError" });
    const url = `${base}/v1/payment_intents`;
    expect((await fetch(url)).status).toBe(401);
    const basic = Buffer.from(`${secretKey}:`).toString("base64");
    expect((await fetch(url, { headers: { authorization: `Basic ${basic}` } })).status).toBe(200);
  });

  it("gets a response with the request ID and the requested API version", async () => {
    const { stripe } = await local();
    const { lastResponse } = await stripe.paymentIntents.create(intentParams);
    expect(lastResponse.requestId).toMatch(/^req_/);
    expect(lastResponse.apiVersion).toBe(stripe.getApiField("version"));
  });
});

describe("the test API", () => {
  it("is disabled by default", async () => {
    const { callTestApi } = await local({ test: false });
    await expect(callTestApi("GET", "records")).rejects.toThrow();
  });

  it("rejects unknown parameters", async () => {
    const { callTestApi } = await local();
    await expect(callTestApi("POST", "faults", { fial: 500 })).rejects.toThrow("fial");
  });
});
