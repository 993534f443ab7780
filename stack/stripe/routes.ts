import { create, createParams } from "./creation.ts";
import { StripeError } from "./errors.ts";
import * as intents from "./intents.ts";
import { expand, listParams, page } from "./lists.ts";
import { check, type Form, type Params, type Schema } from "./params.ts";
import { refund, refundParams } from "./refunds.ts";
import type { Unit } from "./unit.ts";

/** A call of an endpoint: its unit, the id in its path, and the address that this Stripe has. */
interface Call {
  unit: Unit;
  id: string;
  base: string;
}

interface Route {
  method: string;
  path: RegExp;
  run: (call: Call, form: Form) => unknown;
}

/** An endpoint: checks the form, does the work, and expands the answer as asked. */
function route<const S extends Schema>(
  method: string,
  path: string,
  schema: S,
  work: (call: Call, params: Params<S>) => unknown,
): Route {
  return {
    method,
    path: new RegExp(`^${path.replace(":id", "([^/]+)")}$`),
    run(call, { expand: paths, ...form }) {
      const { expand: wanted = [] } = check({ expand: "strings" }, paths ? { expand: paths } : {});
      const done = work(call, check(schema, form));
      return wanted.reduce((thing, each) => expand(call.unit, thing, each), done);
    },
  };
}

const INTENTS = "/v1/payment_intents";
const intentOf = ({ unit, id }: Call) => unit.find("payment_intent", id, "intent", 404);

const routes = [
  route("POST", INTENTS, createParams, ({ unit, base }, params) => create(unit, params, base)),
  route("GET", INTENTS, listParams, ({ unit }, params) =>
    page(unit, "payment_intent", params, INTENTS),
  ),
  route("GET", `${INTENTS}/:id`, {}, intentOf),
  route("POST", `${INTENTS}/:id/confirm`, intents.confirmParams, (call, params) =>
    intents.confirm(call.unit, intentOf(call), params, call.base),
  ),
  route("POST", `${INTENTS}/:id/capture`, intents.captureParams, (call, params) =>
    intents.capture(call.unit, intentOf(call), params),
  ),
  route("POST", `${INTENTS}/:id/cancel`, intents.cancelParams, (call, params) =>
    intents.cancel(call.unit, intentOf(call), params),
  ),

  route("GET", "/v1/charges/:id", {}, ({ unit, id }) => unit.find("charge", id, "id", 404)),
  route("GET", "/v1/payment_methods/:id", {}, ({ unit, id }) =>
    unit.find("payment_method", id, "payment_method", 404),
  ),

  route("POST", "/v1/refunds", refundParams, ({ unit }, params) => refund(unit, params)),
  route("GET", "/v1/refunds/:id", {}, ({ unit, id }) => unit.find("refund", id, "id", 404)),
  route(
    "GET",
    "/v1/refunds",
    { ...listParams, charge: "string", payment_intent: "string" },
    ({ unit }, { charge, payment_intent, ...params }) =>
      page(unit, "refund", params, "/v1/refunds", (each) =>
        Boolean(
          each.charge === (charge ?? each.charge) &&
          each.payment_intent === (payment_intent ?? each.payment_intent),
        ),
      ),
  ),

  route("GET", "/v1/events/:id", {}, ({ unit, id }) => unit.find("event", id, "id", 404)),
  route(
    "GET",
    "/v1/events",
    { ...listParams, type: "string", types: "strings" },
    ({ unit }, { type, types, ...params }) => {
      const wanted = type === undefined ? types : [type];
      return page(unit, "event", params, "/v1/events", (event) =>
        wanted ? wanted.includes(event.type) : true,
      );
    },
  ),
];

/** Does what a request asks for. */
export function run(method: string, path: string, form: Form, call: Omit<Call, "id">): unknown {
  for (const each of routes) {
    const match = each.method === method && each.path.exec(path);
    if (match) return each.run({ ...call, id: match[1] ?? "" }, form);
  }
  const message = `Unrecognized request URL (${method}: ${path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`;
  throw new StripeError(404, { type: "invalid_request_error", message }, "invalid");
}
