import { CancelReason, OrderStatus, type Order } from "@ticketing/proto/web/orders/v1/order";

const statusWords: Partial<Record<OrderStatus, string>> = {
  [OrderStatus.CREATED]: "To be paid",
  [OrderStatus.AWAITING_PAYMENT]: "Payment under way",
  [OrderStatus.COMPLETED]: "Yours",
  [OrderStatus.CANCELLED]: "Cancelled",
};

const cancelWords: Partial<Record<CancelReason, string>> = {
  [CancelReason.BUYER]: "You cancelled this order.",
  [CancelReason.EXPIRED]: "The time to pay ran out. You have not been charged.",
  [CancelReason.PAYMENT_FAILED]: "The payment did not go through. You have not been charged.",
  [CancelReason.BANNED]: "The order was cancelled by the marketplace.",
  [CancelReason.REFUNDED]: "The whole amount was given back to you.",
};

export const orderStatus = ({ status }: Order): string => statusWords[status] ?? "";

export const cancelReasonText = ({ cancelReason }: Order): string =>
  cancelWords[cancelReason] ?? "This order was cancelled.";

/** Whether it still waits for something to happen. */
export const isOpen = ({ status }: Order): boolean =>
  status === OrderStatus.CREATED || status === OrderStatus.AWAITING_PAYMENT;
