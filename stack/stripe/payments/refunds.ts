import { book } from "./balance.ts";
import { testCard } from "./cards.ts";
import { chargeOf } from "./charges.ts";
import { money, movable } from "./currencies.ts";
import { refused } from "../objects/errors.ts";
import { type Charge, newId, now, type Refund } from "../objects/objects.ts";
import type { Params } from "../requests/params.ts";
import type { Unit } from "../store/unit.ts";

/** The parameters of a refund. */
export const refundParams = {
  amount: "integer",
  charge: "string",
  metadata: "metadata",
  payment_intent: "string",
  reason: ["duplicate", "fraudulent", "requested_by_customer"],
} as const;

/** The parameters of a change. */
export const refundUpdateParams = { metadata: "metadata" } as const;

/** Refunds a charge, or a part of it, up to the amount that is not refunded yet. */
export function refund(unit: Unit, params: Params<typeof refundParams>): Refund {
  const charge = chargeOf(unit, params);
  const amount = refundable(unit, charge, params.amount);
  const id = newId("re");
  const { currency, payment_intent } = charge;
  const made = unit.put<Refund>({
    id,
    object: "refund",
    amount,
    balance_transaction: book(unit, "refund", -amount, { id, currency }).id,
    charge: charge.id,
    created: now(),
    currency,
    metadata: params.metadata ?? {},
    payment_intent,
    reason: params.reason ?? null,
    status: testCard(charge.payment_method_details.card.fingerprint).slowRefund
      ? "pending"
      : "succeeded",
  });
  unit.announce("charge.refunded", addRefundedAmount(unit, charge, amount));
  unit.announce("refund.created", made);
  return made;
}

/** The requested amount, or all that is left, if the charge can be refunded. */
function refundable(unit: Unit, charge: Charge, asked: number | undefined): number {
  const contested = unit
    .all("dispute")
    .some((each) => each.charge === charge.id && !each.is_charge_refundable);
  if (contested) {
    const message = `Charge ${charge.id} has been charged back; cannot issue a refund.`;
    throw refused(message, { code: "charge_disputed" });
  }
  const left = charge.amount_captured - charge.amount_refunded;
  if (left === 0) {
    const message = `Charge ${charge.id} has already been refunded.`;
    throw refused(message, { code: "charge_already_refunded" });
  }
  const amount = asked ?? left;
  movable(amount, charge.currency, "amount");
  if (amount <= left) return amount;
  const [wanted, rest] = [money(amount, charge.currency), money(left, charge.currency)];
  const message = `Refund amount (${wanted}) is greater than unrefunded amount on charge (${rest})`;
  throw refused(message, { param: "amount" });
}

/** Updates the refunded amount of a charge. A failed refund subtracts its amount. */
function addRefundedAmount(unit: Unit, charge: Charge, amount: number): Charge {
  const amount_refunded = charge.amount_refunded + amount;
  const refunded = amount_refunded === charge.amount_captured;
  return unit.put<Charge>({ ...charge, amount_refunded, refunded });
}

/** Updates a refund's metadata. A given key replaces the stored one. */
export function updateRefund(
  unit: Unit,
  kept: Refund,
  { metadata }: Params<typeof refundUpdateParams>,
): Refund {
  const updated = unit.put<Refund>({ ...kept, metadata: { ...kept.metadata, ...metadata } });
  unit.announce("refund.updated", updated);
  return updated;
}

/** Settles a refund: the buyer's bank accepts the money or returns it, possibly days later. */
export function settleRefund(unit: Unit, id: string, status: "succeeded" | "failed"): Refund {
  const kept = unit.find("refund", id, "refund");
  if (kept.status === "failed" || kept.status === status) {
    throw refused(`Refund ${id} is ${kept.status}.`);
  }
  if (status === "succeeded") {
    const taken = unit.put<Refund>({ ...kept, status });
    unit.announce("refund.updated", taken);
    return taken;
  }
  addRefundedAmount(unit, unit.find("charge", kept.charge, "charge"), -kept.amount);
  const failed = unit.put<Refund>({
    ...kept,
    failure_balance_transaction: book(unit, "refund_failure", kept.amount, kept).id,
    failure_reason: "lost_or_stolen_card",
    status,
  });
  unit.announce("refund.updated", failed);
  unit.announce("refund.failed", failed);
  return failed;
}
