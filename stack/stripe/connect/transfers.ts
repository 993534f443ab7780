import { balanceIn, book } from "../payments/balance.ts";
import type { Transfer } from "../objects/connect.ts";
import { positive } from "../payments/currencies.ts";
import { noSuch, refused } from "../objects/errors.ts";
import { newId, now } from "../objects/objects.ts";
import type { Params } from "../requests/params.ts";
import type { Unit } from "../store/unit.ts";

/** The parameters of a transfer. */
export const transferParams = {
  amount: "integer!",
  currency: "string!",
  description: "string",
  destination: "string!",
  metadata: "metadata",
  transfer_group: "string",
} as const;

/** Creates a transfer to a connected account, limited by the platform's balance. */
export function transfer(unit: Unit, params: Params<typeof transferParams>): Transfer {
  const { amount, destination } = params;
  const currency = params.currency.toLowerCase();
  positive(amount, "amount");
  const account = unit.all("account").find(({ id }) => id === destination);
  if (!account) throw noSuch("destination", destination, "destination");
  if (account.capabilities.transfers !== "active") {
    const message =
      "Your destination account needs to have at least one of the following capabilities enabled: transfers, crypto_transfers, legacy_payments";
    throw refused(message, { code: "insufficient_capabilities_for_transfer" });
  }
  if (amount > balanceIn(unit, currency)) {
    const message =
      "You have insufficient available funds in your Stripe account. You can view your available balance in the Dashboard.";
    throw refused(message, { code: "balance_insufficient" });
  }
  const id = newId("tr");
  const made = unit.put<Transfer>({
    id,
    object: "transfer",
    amount,
    amount_reversed: 0,
    balance_transaction: book(unit, "transfer", -amount, { id, currency }).id,
    created: now(),
    currency,
    description: params.description ?? null,
    destination,
    livemode: false,
    metadata: params.metadata ?? {},
    reversed: false,
    source_transaction: null,
    transfer_group: params.transfer_group ?? null,
  });
  unit.announce("transfer.created", made);
  return made;
}
