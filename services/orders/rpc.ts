import type { ConnectRouter } from "@connectrpc/connect";
import {
  CreateOrderRequestSchema,
  OrderFilter,
  OrderService,
} from "@ticketing/proto/orders/v1/order_service";
import { update } from "#runtime/store/aggregate.ts";
import { caller } from "#runtime/rpc/authentication.ts";
import type { DomainError } from "#runtime/errors.ts";
import { OrderError } from "./errors.ts";
import { toPage, pageSize, readPageToken } from "#runtime/store/paging.ts";
import { idempotencyKey } from "#runtime/store/request-id.ts";
import { mustHaveConfirmedEmail, networkKey } from "./hold-limits.ts";
import { hold, type HoldDeps } from "./hold.ts";
import { ACTIVE, cancel, PAST, toProto, type OrderFields } from "./order.ts";

const statuses = (filter: OrderFilter) => {
  if (filter === OrderFilter.ALL) return [...ACTIVE, ...PAST];
  return filter === OrderFilter.PAST ? PAST : ACTIVE;
};

const notFound = (): DomainError => new OrderError("ORDER_NOT_FOUND", "you have no such order");

export function orderRoutes(deps: HoldDeps) {
  const { orders } = deps;
  return (router: ConnectRouter) =>
    router.service(OrderService, {
      async createOrder(request, ctx) {
        const mark = idempotencyKey(CreateOrderRequestSchema, request);
        const buyer = caller(ctx);
        mustHaveConfirmedEmail(deps, buyer);
        const network = networkKey(ctx.requestHeader);
        return { order: toProto(await hold(deps, buyer.id, request, mark, network)) };
      },

      async getOrder({ id }, ctx) {
        const mine = { _id: id, userId: caller(ctx).id };
        const order = await orders.findOne(mine, { outbox: 0 }).lean<OrderFields>();
        if (!order) throw notFound();
        return { order: toProto(order) };
      },

      async listOrders({ pageSize: asked, pageToken: token, filter }, ctx) {
        const userId = caller(ctx).id;
        const query = ["orders", userId, filter];
        const after = readPageToken(query, token);
        const size = pageSize(asked);
        const found = await orders
          .find(
            { userId, status: { $in: statuses(filter) }, ...(after && { _id: { $lt: after.id } }) },
            { outbox: 0 },
          )
          .sort({ _id: -1 })
          .limit(size + 1)
          .lean<OrderFields[]>();
        const { page, nextPageToken } = toPage(query, size, found);
        return { orders: page.map(toProto), nextPageToken };
      },

      async cancelOrder({ id }, ctx) {
        const userId = caller(ctx).id;
        const order = await update(orders, id, (found) => {
          if (found.userId !== userId) throw notFound();
          return cancel(found);
        });
        if (!order) throw notFound();
        return { order: toProto(order) };
      },
    });
}
