import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import {
  CreateOrderRequestSchema,
  OrderService,
  type CreateOrderRequest,
} from "@ticketing/proto/orders/v1/order_service";
import { caller } from "#runtime/rpc/authentication.ts";
import { idempotencyKey } from "#runtime/store/request-id.ts";
import { hold, type HoldDeps } from "./hold.ts";
import { mustHaveConfirmedEmail, networkKey } from "./hold-limits.ts";
import { toProto, type Order, type OrderFields } from "./order.ts";
import { cancelOrder, getOrder, listOrders } from "./own-orders.ts";

const toResponse = (order: OrderFields) => ({ order: toProto(order) });

function createOrder(
  deps: HoldDeps,
  request: CreateOrderRequest,
  ctx: HandlerContext,
): Promise<Order> {
  const key = idempotencyKey(CreateOrderRequestSchema, request);
  const buyer = caller(ctx);
  mustHaveConfirmedEmail(deps, buyer);
  return hold(deps, buyer.id, request, key, networkKey(ctx.requestHeader));
}

/** OrderService: one line per method. */
export const orderRoutes = (deps: HoldDeps) => (router: ConnectRouter) =>
  router.service(OrderService, {
    createOrder: async (request, ctx) => toResponse(await createOrder(deps, request, ctx)),
    getOrder: async ({ id }, ctx) => toResponse(await getOrder(deps.orders, caller(ctx).id, id)),
    listOrders: (request, ctx) => listOrders(deps.orders, caller(ctx).id, request),
    cancelOrder: async ({ id }, ctx) =>
      toResponse(await cancelOrder(deps.orders, caller(ctx).id, id)),
  });
