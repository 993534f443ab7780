import { z } from "zod";
import type { Faults } from "./faults.ts";
import type { Journal } from "./journal.ts";
import type { Webhooks } from "./webhooks.ts";

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
  off: z.boolean().default(false),
  duplicate: z.boolean().default(false),
  shuffle: z.boolean().default(false),
  delay: z.int().nonnegative().default(0),
});

interface Parts {
  journal: Journal;
  faults: Faults;
  webhooks: Webhooks | undefined;
}

/** What a test may turn, by method and path; every answer is JSON. */
export const switches: Record<string, (parts: Parts, body: unknown) => unknown> = {
  "GET /_test/books": ({ journal }) => ({
    payment_intents: journal.all("payment_intent"),
    charges: journal.all("charge"),
    refunds: journal.all("refund"),
    events: journal.all("event"),
  }),
  "GET /_test/faults": ({ faults }) => faults.ordered,
  "POST /_test/faults": ({ faults }, body) => faults.order(fault.parse(body)),
  "DELETE /_test/faults": ({ faults }) => faults.clear(),
  "PUT /_test/webhooks": ({ webhooks }, body) => webhooks?.set(delivery.parse(body)),
  "DELETE /_test/idempotency_keys": ({ journal }) => journal.forget("answer"),
};
