import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/web/orders/v1/order";

const statusLabels: Partial<Record<OrderStatus, string>> = {
  [OrderStatus.CREATED]: "Awaiting payment",
  [OrderStatus.AWAITING_PAYMENT]: "Payment processing",
  [OrderStatus.COMPLETED]: "Paid",
  [OrderStatus.CANCELLED]: "Cancelled",
};

const cancelReasonLabels: Partial<Record<CancelReason, string>> = {
  [CancelReason.BUYER]: "You cancelled this order.",
  [CancelReason.EXPIRED]: "The time to pay ran out. You haven’t been charged.",
  [CancelReason.PAYMENT_FAILED]: "The payment failed. You haven’t been charged.",
  [CancelReason.BANNED]: "The marketplace cancelled this order.",
  [CancelReason.REFUNDED]: "This order was fully refunded.",
};

export const orderStatusLabel = ({ status }: Order): string => statusLabels[status] ?? "";

export const cancelReasonLabel = ({ cancelReason }: Order): string =>
  cancelReasonLabels[cancelReason] ?? "This order was cancelled.";

/** Whether the order can still change by itself: it is waiting for a payment. */
export const isOpen = ({ status }: Order): boolean =>
  status === OrderStatus.CREATED || status === OrderStatus.AWAITING_PAYMENT;
