import type { ConnectRouter } from "@connectrpc/connect";
import { SellerService } from "@ticketing/proto/payments/v1/seller_service";
import { caller } from "#runtime/rpc/authentication.ts";
import { getEarnings, type SellerRouteDeps } from "./get-earnings.ts";
import { listPayouts } from "./list-payouts.ts";
import { listSales } from "./list-sales.ts";
import { startOnboarding } from "./start-onboarding.ts";

/** The earnings of sellers. Every method is about the caller's own. */
export const sellerRoutes = (deps: SellerRouteDeps) => (router: ConnectRouter) =>
  router.service(SellerService, {
    getEarnings: (_, ctx) => getEarnings(deps, caller(ctx).id),
    listSales: (request, ctx) => listSales(deps, caller(ctx).id, request),
    listPayouts: (request, ctx) => listPayouts(deps, caller(ctx).id, request),
    startOnboarding: (_, ctx) => startOnboarding(deps, caller(ctx).id),
  });
