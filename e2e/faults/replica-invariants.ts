import type { Order, StoredState } from "./stored-state.ts";

// Invariants of events and replicas, of which each yields its violations.

const HOLDING: readonly Order["status"][] = ["CREATED", "AWAITING_PAYMENT", "COMPLETED"];

const byId = <T extends { _id: string }>(list: readonly T[]): Map<string, T> =>
  new Map(list.map((each) => [each._id, each]));

/** The fields of a replica that differ from the original. */
function difference(original: object, replica: object): string | undefined {
  const of = (from: object, key: string) => String((from as Record<string, unknown>)[key] ?? "");
  const keys = Object.keys(replica).filter((key) => of(original, key) !== of(replica, key));
  return (
    keys.map((key) => `${key} ${of(replica, key)} for ${of(original, key)}`).join(", ") || undefined
  );
}

export function* nothingIsInProgress({ queues, outboxes, orders }: StoredState) {
  for (const { name, messages } of queues) if (messages) yield `${messages} messages in ${name}`;
  for (const [name, count] of Object.entries(outboxes)) {
    if (count) yield `${count} documents with unpublished events in ${name}`;
  }
  for (const { _id, status } of orders) {
    if (status === "CREATED" || status === "AWAITING_PAYMENT") yield `order ${_id} is ${status}`;
  }
}

export function* ordersHaveCurrentTickets({ tickets, ticketReplicas }: StoredState) {
  const replicas = byId(ticketReplicas);
  for (const { userId: sellerId, ...ticket } of tickets) {
    const replica = replicas.get(ticket._id);
    const sold = ticket.status === "SOLD";
    const category = ticket.category || "UNSPECIFIED"; // The contract has no empty category.
    const mismatch = replica
      ? difference({ sellerId, sold, ...ticket, category }, replica)
      : "is missing";
    if (mismatch) yield `orders' replica of ticket ${ticket._id}: ${mismatch}`;
  }
}

export function* ticketsHaveTheirHolds({ tickets, orders }: StoredState) {
  const newest = new Map<string, Order>();
  for (const order of orders) {
    if (order.holdNumber > (newest.get(order.ticketId)?.holdNumber ?? 0)) {
      newest.set(order.ticketId, order);
    }
  }
  for (const ticket of tickets) {
    const order = newest.get(ticket._id);
    const holds = order && HOLDING.includes(order.status);
    const status = !holds ? "ON_SALE" : order.status === "COMPLETED" ? "SOLD" : "HELD";
    const expected = {
      status,
      orderId: holds ? order._id : "",
      holdNumber: order?.holdNumber ?? 0,
      holdVersion: order?.version ?? 0,
    };
    const mismatch = difference(ticket, expected);
    if (mismatch) yield `ticket ${ticket._id}, expected: ${mismatch}`;
  }
}

export function* paymentsHaveCurrentOrders({ orders, payments }: StoredState) {
  const byOrderId = byId(payments);
  for (const { ticketId, userId, price, status, version, attemptId, _id } of orders) {
    const replica = byOrderId.get(_id)?.order;
    const expected = { ticketId, userId, price, status, version, attemptId };
    const mismatch = replica ? difference(replica, expected) : "is missing";
    if (mismatch) yield `payments' replica of order ${_id}, expected: ${mismatch}`;
  }
}

export function* noTicketIsHeldTwice({ orders }: StoredState) {
  const holders = new Map<string, string>();
  for (const { _id, ticketId, status } of orders) {
    if (!HOLDING.includes(status)) continue;
    const other = holders.get(ticketId);
    if (other) yield `ticket ${ticketId} is held by ${other} and ${_id}`;
    holders.set(ticketId, _id);
  }
}

export function* everyLockedTicketHasAnOrder({ tickets, orders }: StoredState) {
  const byOrderId = byId(orders);
  for (const { _id, status, orderId = "" } of tickets) {
    if (status !== "HELD" && status !== "SOLD") continue;
    const order = byOrderId.get(orderId);
    if (order?.ticketId !== _id || !HOLDING.includes(order.status)) {
      yield `ticket ${_id} is ${status} by order ${orderId}, which is ${order?.status}`;
    }
  }
}
