import { book } from "./balance.ts";
import { chargeOf } from "./charges.ts";
import { refused } from "../objects/errors.ts";
import { type Charge, type Dispute, newId, now } from "../objects/objects.ts";
import type { Unit } from "../store/unit.ts";

/** Opens a dispute. Its amount is withdrawn until the dispute is closed. */
export function openDispute(
  unit: Unit,
  wanted: { payment_intent: string; amount?: number | undefined },
): Dispute {
  const charge = chargeOf(unit, wanted);
  const left = charge.amount_captured - charge.amount_refunded;
  const amount = wanted.amount ?? left;
  if (charge.disputed || amount < 1 || amount > left) {
    throw refused(`Charge ${charge.id} cannot be disputed for ${amount}.`);
  }
  const { currency, payment_intent } = charge;
  const id = newId("dp");
  const dispute = unit.put<Dispute>({
    id,
    object: "dispute",
    amount,
    balance_transactions: [book(unit, "adjustment", -amount, { id, currency }, "dispute")],
    charge: charge.id,
    created: now(),
    currency,
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    payment_intent,
    reason: "fraudulent",
    status: "needs_response",
  });
  unit.put<Charge>({ ...charge, disputed: true });
  unit.announce("charge.dispute.created", dispute);
  unit.announce("charge.dispute.funds_withdrawn", dispute);
  return dispute;
}

/** Closes a dispute. If it is won, its amount is reinstated. */
export function closeDispute(unit: Unit, id: string, status: "won" | "lost"): Dispute {
  const dispute = unit.find("dispute", id, "dispute");
  if (dispute.status !== "needs_response") throw refused(`Dispute ${id} is ${dispute.status}.`);
  const won = status === "won";
  const back = won ? [book(unit, "adjustment", dispute.amount, dispute, "dispute_reversal")] : [];
  const closed = unit.put<Dispute>({
    ...dispute,
    balance_transactions: [...dispute.balance_transactions, ...back],
    is_charge_refundable: won,
    status,
  });
  unit.announce("charge.dispute.closed", closed);
  if (won) unit.announce("charge.dispute.funds_reinstated", closed);
  return closed;
}
