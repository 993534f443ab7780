import { z } from "zod";
import { setAccountStatus } from "./connect/accounts.ts";
import { closeDispute, openDispute } from "./payments/disputes.ts";
import { noSuch } from "./objects/errors.ts";
import type { Faults } from "./requests/faults.ts";
import { expire } from "./payments/intents.ts";
import type { Journal } from "./store/journal.ts";
import { settleRefund } from "./payments/refunds.ts";
import { unasked } from "./store/unit.ts";
import type { Webhooks } from "./store/webhooks.ts";

const fault = z.strictObject({
  method: z.string().optional(),
  path: z.string().optional(),
  times: z.int().positive().optional(),
  slow: z.int().positive().optional(),
  hold: z.boolean().optional(),
  fail: z.literal([429, 500, 503]).optional(),
  late: z.boolean().optional(),
  drop: z.boolean().optional(),
});

const delivery = z.strictObject({
  events: z.array(z.string()).default(["*"]),
  off: z.boolean().default(false),
  duplicate: z.boolean().default(false),
  shuffle: z.boolean().default(false),
  delay: z.int().nonnegative().default(0),
});

const refundEnd = z.strictObject({ status: z.literal(["succeeded", "failed"]) });

const intentOnly = z.strictObject({ payment_intent: z.string() });

const disputed = intentOnly.extend({ amount: z.int().positive().optional() });

const disputeEnd = z.strictObject({ status: z.literal(["won", "lost"]) });

const accountEnd = z.strictObject({ status: z.literal(["active", "restricted"]) });

interface Parts {
  journal: Journal;
  faults: Faults;
  webhooks: Webhooks | undefined;
}

type Switch = (parts: Parts, body: unknown, id: string) => unknown;

/** The test API by method and path. Every response is JSON. */
const switches: Record<string, Switch> = {
  "GET /_test/records": ({ journal }) => ({
    payment_intents: journal.all("payment_intent"),
    charges: journal.all("charge"),
    refunds: journal.all("refund"),
    disputes: journal.all("dispute"),
    balance_transactions: journal.all("balance_transaction"),
    accounts: journal.all("account"),
    transfers: journal.all("transfer"),
    events: journal.all("event"),
  }),

  "GET /_test/faults": ({ faults }) => faults.ordered,
  "POST /_test/faults": ({ faults }, body) => faults.order(fault.parse(body)),
  "DELETE /_test/faults": ({ faults }) => faults.clear(),
  "PUT /_test/webhooks": ({ webhooks }, body) => webhooks?.set(delivery.parse(body)),
  "POST /_test/events/:id": ({ journal, webhooks }, _, id) => {
    const event = journal.get("event", id);
    if (!event) throw noSuch("event", id, "id");
    webhooks?.replay(event);
  },
  "DELETE /_test/idempotency_keys": ({ journal }) => journal.forget("answer"),

  // Actions of banks and buyers, which the API reports by webhook only.
  "POST /_test/expire": (parts, body) => {
    const { payment_intent } = intentOnly.parse(body);
    return unasked(parts, (unit) =>
      expire(unit, unit.find("payment_intent", payment_intent, "payment_intent")),
    );
  },
  "POST /_test/refunds/:id": (parts, body, id) => {
    const { status } = refundEnd.parse(body);
    return unasked(parts, (unit) => settleRefund(unit, id, status));
  },
  "POST /_test/disputes": (parts, body) => {
    const wanted = disputed.parse(body);
    return unasked(parts, (unit) => openDispute(unit, wanted));
  },
  "POST /_test/disputes/:id": (parts, body, id) => {
    const { status } = disputeEnd.parse(body);
    return unasked(parts, (unit) => closeDispute(unit, id, status));
  },
  "POST /_test/accounts/:id": (parts, body, id) => {
    const { status } = accountEnd.parse(body);
    return unasked(parts, (unit) => setAccountStatus(unit, id, status));
  },
};

/** Calls the test API. */
export function callTestApi(parts: Parts, method: string, path: string, body: string): unknown {
  const [, , kind, id] = path.split("/");
  const name = `${method} /_test/${kind}${id === undefined ? "" : "/:id"}`;
  const work = Object.hasOwn(switches, name) ? switches[name] : undefined;
  if (!work) throw new Error(`no switch ${name}`);
  return work(parts, body === "" ? {} : JSON.parse(body), id ?? "") ?? {};
}
