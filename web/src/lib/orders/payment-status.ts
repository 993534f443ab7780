import {
  DisputeStatus,
  PaymentStatus,
  RefundStatus,
  type Payment,
  type Refund,
  type Refundability,
} from "@ticketing/proto/web/payments/v1/payment";
import { PayoutStatus, type Payout } from "@ticketing/proto/web/payments/v1/seller_service";
import { millis } from "#lib/format/time.ts";

const statusWords: Partial<Record<RefundStatus, string>> = {
  [RefundStatus.REQUESTED]: "you have asked for it back.",
  [RefundStatus.PENDING]: "on its way back to you.",
  [RefundStatus.SUCCEEDED]: "given back. Your bank may take some days to show it.",
  [RefundStatus.REFUSED]:
    "not given back this way: the ticket’s code had been opened, or it goes back another way.",
  [RefundStatus.FAILED]: "could not be given back yet. Somebody is looking into it.",
};

/** How a refund stands, for its buyer. */
export const refundStatusText = ({ status }: Refund): string => statusWords[status] ?? "";

/** Whether it is still to be found out what becomes of a refund. */
export const isRefunding = ({ refunds }: Payment): boolean =>
  refunds.some(
    ({ status }) => status === RefundStatus.REQUESTED || status === RefundStatus.PENDING,
  );

/**
 * Whether the visitor may have it given back. The service says so, by the rule by which it decides; the
 * page only lets the time pass.
 */
export const isRefundable = (refundability: Refundability | undefined, now: number): boolean =>
  refundability?.amount !== undefined &&
  (refundability.until === undefined || now < millis(refundability.until));

/** How a sale stands, for its seller. */
export function saleStatus({ status, disputeStatus }: Payment): string {
  if (disputeStatus === DisputeStatus.OPEN) return "Disputed by the buyer’s bank; sold";
  if (disputeStatus === DisputeStatus.LOST) return "Taken back by the buyer’s bank; sold";
  if (status === PaymentStatus.REFUNDED) return "Given back; sold";
  if (status === PaymentStatus.PARTLY_REFUNDED) return "Partly given back; sold";
  return "Sold";
}

const payoutWords: Partial<Record<PayoutStatus, string>> = {
  [PayoutStatus.PENDING]: "On its way",
  [PayoutStatus.PAID]: "Paid",
  [PayoutStatus.FAILED]: "Refused by Stripe",
};

export const payoutStatus = ({ status }: Payout): string => payoutWords[status] ?? "";

const attemptWords: Partial<Record<PaymentStatus, string>> = {
  [PaymentStatus.PENDING]: "being tried",
  [PaymentStatus.REQUIRES_ACTION]: "waits for the buyer at their bank",
  [PaymentStatus.AUTHORIZED]: "reserved",
  [PaymentStatus.CAPTURED]: "taken",
  [PaymentStatus.VOIDED]: "given up, nothing taken",
  [PaymentStatus.FAILED]: "failed",
  [PaymentStatus.REFUNDED]: "given back",
  [PaymentStatus.PARTLY_REFUNDED]: "partly given back",
};

/** Where a payment, or one attempt of it, stands, for administrators. */
export const paymentStatus = ({ status }: { status: PaymentStatus }): string =>
  attemptWords[status] ?? "not tried";
