import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import {
  CreateOrderRequestSchema,
  OrderService,
  type CreateOrderRequest,
} from "@ticketing/proto/orders/v1/order_service";
import { caller } from "#runtime/rpc/authentication.ts";
import { idempotencyKey } from "#runtime/store/request-id.ts";
import { hold, type HoldDeps } from "./hold.ts";
import { mustHaveConfirmedEmail, networkKey, type HoldLimits } from "./hold-limits.ts";
import { holdRace } from "./hold-race.ts";
import { toProto, type OrderFields } from "./order.ts";
import { cancelOrder, getOrder, listOrders } from "./own-orders.ts";

const toResponse = (order: OrderFields) => ({ order: toProto(order) });

function createOrder(
  deps: HoldDeps,
  request: CreateOrderRequest,
  ctx: HandlerContext,
): Promise<OrderFields> {
  const { ticketId, ticketVersion } = request;
  const key = idempotencyKey(CreateOrderRequestSchema, request);
  const buyer = caller(ctx);
  mustHaveConfirmedEmail(deps, buyer);
  const network = networkKey(ctx.requestHeader);
  return hold(deps, { userId: buyer.id, ticketId, ticketVersion, key, network });
}

/** OrderService: one line per method. */
export const orderRoutes = (limits: HoldLimits) => (router: ConnectRouter) => {
  const { orders } = limits;
  const deps = { ...limits, race: holdRace(orders) };
  return router.service(OrderService, {
    createOrder: async (request, ctx) => toResponse(await createOrder(deps, request, ctx)),
    getOrder: async ({ id }, ctx) => toResponse(await getOrder(orders, caller(ctx).id, id)),
    listOrders: (request, ctx) => listOrders(orders, caller(ctx).id, request),
    cancelOrder: async ({ id }, ctx) => toResponse(await cancelOrder(orders, caller(ctx).id, id)),
  });
};
