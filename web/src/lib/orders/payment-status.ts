import {
  DisputeStatus,
  PaymentStatus,
  RefundStatus,
  type Payment,
  type Refund,
  type Refundability,
} from "@ticketing/proto/web/payments/v1/payment";
import { PayoutStatus, type Payout } from "@ticketing/proto/web/payments/v1/seller_service";
import { toMillis } from "#lib/format/time.ts";

const refundLabels: Partial<Record<RefundStatus, string>> = {
  [RefundStatus.REQUESTED]: "refund requested.",
  [RefundStatus.PENDING]: "refund in progress.",
  [RefundStatus.SUCCEEDED]: "refunded. Your bank may take a few days to show it.",
  [RefundStatus.REFUSED]:
    "refund declined, because the ticket’s code had been shown or the money is returned another way.",
  [RefundStatus.FAILED]: "refund delayed. We’re looking into it.",
};

/** The status of a refund, for the buyer. */
export const refundStatusLabel = ({ status }: Refund): string => refundLabels[status] ?? "";

/** Whether the outcome of a refund is still open. */
export const isRefunding = ({ refunds }: Payment): boolean =>
  refunds.some(
    ({ status }) => status === RefundStatus.REQUESTED || status === RefundStatus.PENDING,
  );

/** Whether the user can get a refund. The service decides that; the page only checks the deadline. */
export const isRefundable = (refundability: Refundability | undefined, now: number): boolean =>
  refundability?.amount !== undefined &&
  (refundability.until === undefined || now < toMillis(refundability.until));

/** The status of a sale, for the seller. */
export function saleStatusLabel({ status, disputeStatus }: Payment): string {
  if (disputeStatus === DisputeStatus.OPEN) return "Disputed by the buyer’s bank; sold";
  if (disputeStatus === DisputeStatus.LOST) return "Reclaimed by the buyer’s bank; sold";
  if (status === PaymentStatus.REFUNDED) return "Refunded; sold";
  if (status === PaymentStatus.PARTLY_REFUNDED) return "Partially refunded; sold";
  return "Sold";
}

const payoutLabels: Partial<Record<PayoutStatus, string>> = {
  [PayoutStatus.PENDING]: "In transit",
  [PayoutStatus.PAID]: "Paid",
  [PayoutStatus.FAILED]: "Failed",
};

export const payoutStatusLabel = ({ status }: Payout): string => payoutLabels[status] ?? "";

const paymentLabels: Partial<Record<PaymentStatus, string>> = {
  [PaymentStatus.PENDING]: "Processing",
  [PaymentStatus.REQUIRES_ACTION]: "Waiting for the buyer’s confirmation",
  [PaymentStatus.AUTHORIZED]: "Authorized",
  [PaymentStatus.CAPTURED]: "Captured",
  [PaymentStatus.VOIDED]: "Cancelled, not charged",
  [PaymentStatus.FAILED]: "Failed",
  [PaymentStatus.REFUNDED]: "Refunded",
  [PaymentStatus.PARTLY_REFUNDED]: "Partially refunded",
};

/** The status of a payment, or of one attempt, for administrators. */
export const paymentStatusLabel = ({ status }: { status: PaymentStatus }): string =>
  paymentLabels[status] ?? "Not attempted";
