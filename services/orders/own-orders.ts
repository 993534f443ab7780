import { OrderFilter, type ListOrdersRequest } from "@ticketing/proto/orders/v1/order_service";
import type { DomainError } from "#runtime/errors.ts";
import { updateAggregate } from "#runtime/store/plain-aggregate.ts";
import { pageSize, readPageToken, toPage } from "#runtime/store/paging.ts";
import { readById } from "#runtime/store/batched-reads.ts";
import { OrderError } from "./errors.ts";
import { ACTIVE, cancel, PAST, toProto, type OrderFields, type Orders } from "./order.ts";

// What a buyer does with their own orders. An order of another user is not found.

const orderNotFound = (): DomainError =>
  new OrderError("ORDER_NOT_FOUND", "you have no such order");

export async function getOrder(orders: Orders, userId: string, id: string): Promise<OrderFields> {
  const order = await readById(orders, id);
  if (order?.userId !== userId) throw orderNotFound();
  return order;
}

const statuses = (filter: OrderFilter) => {
  if (filter === OrderFilter.ALL) return [...ACTIVE, ...PAST];
  return filter === OrderFilter.PAST ? PAST : ACTIVE;
};

/** One page of a buyer's orders, newest first. */
export async function listOrders(orders: Orders, userId: string, request: ListOrdersRequest) {
  const query = ["orders", userId, request.filter];
  const after = readPageToken(query, request.pageToken);
  const size = pageSize(request.pageSize);
  const found = await orders
    .find(
      {
        userId,
        status: { $in: statuses(request.filter) },
        ...(after && { _id: { $lt: after.id } }),
      },
      { outbox: 0 },
    )
    .sort({ _id: -1 })
    .limit(size + 1)
    .lean<OrderFields[]>();
  const { page, nextPageToken } = toPage(query, size, found);
  return { orders: page.map(toProto), nextPageToken };
}

export async function cancelOrder(
  orders: Orders,
  userId: string,
  id: string,
): Promise<OrderFields> {
  const order = await updateAggregate(orders, id, (found) => {
    if (found.userId !== userId) throw orderNotFound();
    return cancel(found);
  });
  if (!order) throw orderNotFound();
  return order;
}
