import { alarm } from "#runtime/alarm.ts";
import type { Log } from "#runtime/log.ts";
import type { PaymentFields, Payments } from "../payment.ts";

interface Deps {
  payments: Payments;
  now: () => number;
  log: Log;
}

/** Tickets answers within a second, unless something is wrong. */
const TOO_LONG_MS = 5 * 60_000;
/** So many at a time; where more wait, these say enough. */
const MOST = 100;

/** Raises an alarm over buyers who have asked for their money, and of whose code tickets says nothing. */
export function alarmOnWaitingRefunds({ payments, now, log }: Deps): () => Promise<void> {
  const raise = alarm({ log, now, words: "a buyer's refund waits for tickets; decide it" });
  return async () => {
    const asked = {
      status: "REQUESTED" as const,
      createTime: { $lte: new Date(now() - TOO_LONG_MS) },
    };
    const waiting = { "refunds.status": asked.status, refunds: { $elemMatch: asked } };
    const found = await payments.find(waiting, { _id: 1 }).limit(MOST).lean<PaymentFields[]>();
    raise(found.map(({ _id: orderId }) => ({ orderId })));
  };
}
