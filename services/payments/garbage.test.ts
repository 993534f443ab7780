import { PaymentService } from "@ticketing/proto/payments/v1/payment_service";
import { expect, it } from "vitest";
import { sendGarbage } from "#runtime/testing/garbage.ts";
import { as } from "#runtime/testing/tokens.ts";
import { testServer } from "#runtime/testing/server.ts";
import { paymentRoutes } from "./rpc.ts";
import { paymentsFixture } from "./testing/payments-fixture.ts";

it("random requests cause no internal error and no charge", { timeout: 120_000 }, async () => {
  const { deps, buy, pay, payments, stripeServer } = await paymentsFixture();
  const server = await testServer(paymentRoutes(deps));
  const orders = await Promise.all([buy(), buy(), buy({ userId: "eve" })]);
  const [paid, free] = orders;
  await pay(paid);
  const answered = await sendGarbage(server, PaymentService, {
    headers: (await as("ann")).headers,
    known: orders.map(({ id }) => id),
    good: {
      CreatePayment: { orderId: free.id, token: "tok_visa" },
      GetPayment: { orderId: paid.id },
      RefundPayment: { orderId: paid.id },
    },
    runs: 100,
    seed: 1,
  });

  expect(answered.get("GetPayment")).toBeGreaterThan(0);
  expect(await payments.countDocuments()).toBe(3);
  expect(await payments.countDocuments({ "order.userId": "eve", attempts: { $ne: [] } })).toBe(0);
  const { charges } = (await stripeServer.control("GET", "records")) as {
    charges: { captured: boolean }[];
  };
  expect(charges.filter(({ captured }) => captured)).toEqual([]);
});
