import type { Account } from "../objects/connect.ts";
import { refused, StripeError } from "../objects/errors.ts";
import { newId, now } from "../objects/objects.ts";
import type { Params } from "../requests/params.ts";
import type { Unit } from "../store/unit.ts";

/** The parameters of an account: its type, or its controller properties. */
export const accountParams = {
  business_type: ["individual", "company", "non_profit", "government_entity"],
  capabilities: { transfers: { requested: "boolean!" } },
  controller: {
    fees: { payer: ["account", "application"] },
    losses: { payments: ["application", "stripe"] },
    requirement_collection: ["application", "stripe"],
    stripe_dashboard: { type: ["express", "full", "none"] },
  },
  country: "string",
  email: "string",
  metadata: "metadata",
  type: ["express"],
} as const;

const DUE = ["external_account", "tos_acceptance.date", "tos_acceptance.ip"];

/** Creates an account that cannot receive transfers until its onboarding is complete. */
export function createAccount(unit: Unit, params: Params<typeof accountParams>): Account {
  const { type, controller, capabilities } = params;
  if (type && controller) {
    const message = "You may only specify one of these parameters: type, controller.";
    throw refused(message, { code: "parameters_exclusive", param: "controller" });
  }
  return unit.put<Account>({
    id: newId("acct"),
    object: "account",
    capabilities: capabilities?.transfers?.requested ? { transfers: "inactive" } : {},
    charges_enabled: false,
    controller: { type: "application", is_controller: true, ...controller },
    country: params.country ?? "US",
    created: now(),
    default_currency: "usd",
    details_submitted: false,
    email: params.email ?? null,
    metadata: params.metadata ?? {},
    payouts_enabled: false,
    requirements: requirements(DUE),
    type: type ?? "none",
  });
}

/** Enables or restricts the transfers and payouts of an account, and sends `account.updated`. */
export function setAccountStatus(unit: Unit, id: string, status: "active" | "restricted"): Account {
  const account = unit.find("account", id, "account");
  const active = status === "active";
  const transfers = active ? "active" : "inactive";
  const changed = unit.put<Account>({
    ...account,
    capabilities: account.capabilities.transfers ? { transfers } : {},
    details_submitted: account.details_submitted || active,
    payouts_enabled: active,
    requirements: active ? requirements([]) : requirements(["individual.verification.document"]),
  });
  unit.announce("account.updated", changed);
  return changed;
}

/** The account that a path names. As at Stripe, an account of another platform gets the same error. */
export function accountOf(unit: Unit, id: string): Account {
  const account = unit.all("account").find((each) => each.id === id);
  if (account) return account;
  const message = `The provided key does not have access to account '${id}' (or that account does not exist). Application access may have been revoked.`;
  const body = { type: "invalid_request_error", code: "account_invalid", message } as const;
  throw new StripeError(403, body);
}

function requirements(due: readonly string[]): Account["requirements"] {
  return {
    currently_due: due,
    disabled_reason: due.length > 0 ? "requirements.past_due" : null,
    eventually_due: due,
    past_due: due,
    pending_verification: [],
  };
}
