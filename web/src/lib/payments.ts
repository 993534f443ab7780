import {
  DisputeStatus,
  PaymentStatus,
  RefundStatus,
  type Payment,
  type Refund,
} from "@ticketing/proto/web/payments/v1/payment";
import { millis } from "./time.ts";

const statusWords: Partial<Record<RefundStatus, string>> = {
  [RefundStatus.REQUESTED]: "you have asked for it back.",
  [RefundStatus.PENDING]: "on its way back to you.",
  [RefundStatus.SUCCEEDED]: "given back. Your bank may take some days to show it.",
  [RefundStatus.REFUSED]: "not given back, because the ticket’s code had been opened.",
  [RefundStatus.FAILED]: "could not be given back yet. Somebody is looking into it.",
};

/** How a refund stands, for its buyer. */
export const refundWords = ({ status }: Refund): string => statusWords[status] ?? "";

/** Whether it is still to be found out what becomes of a refund. */
export const isRefunding = ({ refunds }: Payment): boolean =>
  refunds.some(
    ({ status }) => status === RefundStatus.REQUESTED || status === RefundStatus.PENDING,
  );

/** So long after paying a buyer may give a ticket back by themselves. */
const GIVE_BACK_MS = 30 * 60_000;

/** Whether its buyer may still ask for the money, as far as the payment knows. */
export function canBeGivenBack(payment: Payment, now: number): boolean {
  const { status, captureTime, disputeStatus, refunds } = payment;
  return (
    status === PaymentStatus.CAPTURED &&
    captureTime !== undefined &&
    now - millis(captureTime) < GIVE_BACK_MS &&
    disputeStatus === DisputeStatus.UNSPECIFIED &&
    !refunds.some((refund) => refund.status !== RefundStatus.FAILED)
  );
}
