import { touch } from "#runtime/store/aggregate.ts";
import type { Dispute, Payment } from "../payment.ts";
import { postReversal } from "./refund.ts";

/** Stripe's words for a dispute that is over; all others say that it is open. */
const finalStatuses: Readonly<Record<string, Dispute["status"]>> = {
  won: "WON",
  warning_closed: "WON",
  prevented: "WON",
  lost: "LOST",
  // The money is gone, unless the appeal brings it back.
  appeal_needs_response: "LOST",
  appeal_under_review: "LOST",
};

/** What Stripe says of a dispute. */
export interface ProviderDispute {
  id: string;
  amount: number;
  status: string;
}

/**
 * Stores what Stripe says of the dispute of a payment. Its money leaves when it opens, and comes again
 * when it is won; while the bank only inquires (`warning_…`), none moves. One that is over does not
 * open again, whatever an older answer says.
 */
export function recordDispute(
  payment: Payment,
  { id, amount, status }: ProviderDispute,
  isNewest = true,
): boolean {
  const now = finalStatuses[status] ?? "OPEN";
  const before = payment.dispute?._id === id ? payment.dispute.status : undefined;
  if (now === "OPEN" && before && before !== "OPEN") return false;
  const gone = `dispute:${id}`;
  const leaves = now === "LOST" || (now === "OPEN" && !status.startsWith("warning"));
  const isGone = payment.postings.some(({ _id }) => _id === gone);
  const comesAgain = now === "WON" && isGone;
  const moved =
    (leaves && postReversal(payment, gone, amount)) ||
    (comesAgain && postReversal(payment, `${gone}:won`, 0 - amount));
  if (!moved && (now === before || !isNewest)) return false;
  if (isNewest) payment.dispute = { _id: id, amount, status: now };
  touch(payment);
  return true;
}
