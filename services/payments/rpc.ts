import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { PaymentService } from "@ticketing/proto/payments/v1/payment_service";
import { caller } from "#runtime/rpc/authentication.ts";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { addressOf } from "#runtime/identity/client-network.ts";
import type { Payer } from "./checkout/card-limits.ts";
import { createPayment, type CheckoutDeps } from "./checkout/create-payment.ts";
import { paymentViews, throwWithoutSecrets } from "./checkout/get-payment.ts";
import { claimsOf, type ClaimDeps } from "./payouts/claims.ts";
import type { SellerRouteDeps } from "./payouts/get-earnings.ts";
import { sellerRoutes } from "./payouts/seller-rpc.ts";
import { refundPayment, type RefundDeps } from "./refunds/refund-payment.ts";

const payerOf = (ctx: HandlerContext): Payer => ({
  userId: caller(ctx).id,
  address: addressOf(ctx.requestHeader),
});

/** Paying orders, and refunding them. */
export function paymentRoutes(deps: CheckoutDeps & RefundDeps & ClaimDeps) {
  const { buyerView, getPayment } = paymentViews(deps);
  return (router: ConnectRouter) =>
    router.service(PaymentService, {
      // Money moves by what Stripe did, so its result is stored also after the call's deadline.
      createPayment: (request, ctx) =>
        runWithoutDeadline(() => createPayment(deps, payerOf(ctx), request))
          .catch(throwWithoutSecrets)
          .then(buyerView),
      getPayment: ({ orderId }, ctx) => getPayment(caller(ctx), orderId),
      listClaims: async (_, ctx) => ({ claims: await claimsOf(deps, caller(ctx).id) }),
      refundPayment: (request, ctx) => refundPayment(deps, caller(ctx), request),
    });
}

/** The methods of both services of payments. */
export const allRoutes = (deps: Parameters<typeof paymentRoutes>[0] & SellerRouteDeps) => {
  const [payments, sellers] = [paymentRoutes(deps), sellerRoutes(deps)];
  return (router: ConnectRouter): void => {
    payments(router);
    sellers(router);
  };
};
