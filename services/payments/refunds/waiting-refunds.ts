import { alarm } from "#runtime/alarm.ts";
import type { Log } from "#runtime/log.ts";
import type { PaymentFields, Payments } from "../payment.ts";
import { MINUTE_MS } from "#runtime/values/time.ts";

interface Deps {
  payments: Payments;
  now: () => number;
  log: Log;
}

/** Tickets normally answers within a second. */
const MAX_WAIT_MS = 5 * MINUTE_MS;
/** At most this many in one run: more alarms would tell operators nothing new. */
const MAX_ALARMS = 100;

/** Raises an alarm for buyers' refund requests that tickets does not answer. */
export function alarmOnWaitingRefunds({ payments, now, log }: Deps): () => Promise<void> {
  const raise = alarm({
    log,
    now,
    message:
      "a buyer's refund request waits for tickets; refund it as an administrator, or check tickets",
    idOf: ({ orderId }: { orderId: string }) => orderId,
  });
  return async () => {
    const asked = {
      status: "REQUESTED" as const,
      createTime: { $lte: new Date(now() - MAX_WAIT_MS) },
    };
    const waiting = { "refunds.status": asked.status, refunds: { $elemMatch: asked } };
    const found = await payments
      .find(waiting, { _id: 1 })
      .limit(MAX_ALARMS)
      .lean<PaymentFields[]>();
    raise(found.map(({ _id: orderId }) => ({ orderId })));
  };
}
