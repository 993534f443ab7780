import { accountOf, accountParams, createAccount } from "../connect/accounts.ts";
import { balance } from "../payments/balance.ts";
import { create, createParams } from "../payments/creation.ts";
import { StripeError } from "../objects/errors.ts";
import * as intents from "../payments/intents.ts";
import { listParams, page, pageOf } from "../requests/lists.ts";
import { createLink, linkParams } from "../connect/onboarding.ts";
import type { Form } from "../requests/params.ts";
import { refund, refundParams, refundUpdateParams, updateRefund } from "../payments/refunds.ts";
import { type Call, many, named, one, route } from "./route.ts";
import { transfer, transferParams } from "../connect/transfers.ts";

const ACCOUNTS = "/v1/accounts";
const BALANCE_TRANSACTIONS = "/v1/balance_transactions";
const DISPUTES = "/v1/disputes";
const EVENTS = "/v1/events";
const INTENTS = "/v1/payment_intents";
const REFUNDS = "/v1/refunds";
const TRANSFERS = "/v1/transfers";
const WEBHOOK_ENDPOINTS = "/v1/webhook_endpoints";

const intent = named("payment_intent", "intent");

/** All endpoints of this Stripe. */
const routes = [
  route("POST", INTENTS, createParams, ({ unit, base }, params) => create(unit, params, base)),
  many("payment_intent", INTENTS),
  one("payment_intent", INTENTS, "intent"),
  route("POST", `${INTENTS}/:id/confirm`, intents.confirmParams, (call, params) =>
    intents.confirm(call.unit, intent(call), params, call.base),
  ),
  route("POST", `${INTENTS}/:id/capture`, intents.captureParams, (call, params) =>
    intents.capture(call.unit, intent(call), params),
  ),
  route("POST", `${INTENTS}/:id/cancel`, intents.cancelParams, (call, params) =>
    intents.cancel(call.unit, intent(call), params),
  ),

  one("charge", "/v1/charges"),
  one("payment_method", "/v1/payment_methods", "payment_method"),

  route("POST", REFUNDS, refundParams, ({ unit }, params) => refund(unit, params)),
  many("refund", REFUNDS, ["charge", "payment_intent"]),
  one("refund", REFUNDS),
  route("POST", `${REFUNDS}/:id`, refundUpdateParams, (call, params) =>
    updateRefund(call.unit, named("refund")(call), params),
  ),

  many("dispute", DISPUTES, ["charge", "payment_intent"]),
  one("dispute", DISPUTES),

  route("GET", "/v1/balance", {}, ({ unit }) => balance(unit)),
  many("balance_transaction", BALANCE_TRANSACTIONS, ["currency", "source", "type"]),
  one("balance_transaction", BALANCE_TRANSACTIONS),

  route("POST", ACCOUNTS, accountParams, ({ unit }, params) => createAccount(unit, params)),
  many("account", ACCOUNTS),
  route("GET", `${ACCOUNTS}/:id`, {}, ({ unit, id }) => accountOf(unit, id)),
  route("POST", "/v1/account_links", linkParams, ({ unit, base }, params) =>
    createLink(unit, params, base),
  ),

  route("POST", TRANSFERS, transferParams, ({ unit }, params) => transfer(unit, params)),
  many("transfer", TRANSFERS, ["destination", "transfer_group"]),
  one("transfer", TRANSFERS),

  one("event", EVENTS),
  route(
    "GET",
    EVENTS,
    { ...listParams, type: "string", types: "strings" },
    ({ unit }, { type, types, ...params }) => {
      const wanted = type === undefined ? types : [type];
      return page(unit, "event", params, EVENTS, (event) => wanted?.includes(event.type) ?? true);
    },
  ),

  route("GET", WEBHOOK_ENDPOINTS, listParams, ({ webhooks }, params) =>
    pageOf(webhooks?.endpoints ?? [], "webhook endpoint", params, WEBHOOK_ENDPOINTS),
  ),
];

/** Runs the endpoint of a request. */
export function run(method: string, path: string, form: Form, call: Omit<Call, "id">): unknown {
  for (const each of routes) {
    const match = each.method === method && each.path.exec(path);
    if (match) return each.run({ ...call, id: match[1] ?? "" }, form);
  }
  const message = `Unrecognized request URL (${method}: ${path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`;
  throw new StripeError(404, { type: "invalid_request_error", message }, "invalid");
}
