import { touch } from "#runtime/store/aggregate.ts";
import { negate } from "../ledger.ts";
import type { Dispute, Payment } from "../payment.ts";
import { postReversal } from "./refund.ts";

/** Stripe's statuses of a closed dispute; with any other status, the dispute is open. */
const finalStatuses: Readonly<Record<string, Dispute["status"]>> = {
  won: "WON",
  warning_closed: "WON",
  prevented: "WON",
  lost: "LOST",
  // The money is gone, unless the appeal brings it back.
  appeal_needs_response: "LOST",
  appeal_under_review: "LOST",
};

/** The state of a dispute at Stripe. */
export interface ProviderDispute {
  id: string;
  amount: number;
  status: string;
}

/**
 * Stores the state of a dispute at Stripe. The money leaves when the dispute opens, and returns when it
 * is won. While the bank only inquires (`warning_…`), no money moves. A closed dispute does not open
 * again, whatever an older answer says.
 */
export function recordDispute(
  payment: Payment,
  { id, amount, status }: ProviderDispute,
  isNewest = true,
): boolean {
  const now = finalStatuses[status] ?? "OPEN";
  const before = payment.dispute?._id === id ? payment.dispute.status : undefined;
  if (now === "OPEN" && before && before !== "OPEN") return false;
  const postingId = `dispute:${id}`;
  const leaves = now === "LOST" || (now === "OPEN" && !status.startsWith("warning"));
  const hasLeft = payment.postings.some(({ _id }) => _id === postingId);
  const returns = now === "WON" && hasLeft;
  const moved =
    (leaves && postReversal(payment, postingId, amount)) ||
    (returns && postReversal(payment, `${postingId}:won`, negate(amount)));
  if (!moved && (now === before || !isNewest)) return false;
  if (isNewest) payment.dispute = { _id: id, amount, status: now };
  touch(payment);
  return true;
}
