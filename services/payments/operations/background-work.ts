import type Stripe from "stripe";
import type { Service } from "#runtime/service.ts";
import { markRecentlyMissed, markUnmaterialized } from "../balances/balance-refresh.ts";
import type { PaymentDeps } from "../deps.ts";
import type { PayoutDeps } from "../payouts/payout-execution.ts";
import { payoutWorker } from "../payouts/payout-worker.ts";
import { alarmOnWaitingRefunds } from "../refunds/waiting-refunds.ts";
import {
  startSettlementWorker,
  type SettlementOptions,
  type SettlementWorker,
} from "../settlement/settlement-worker.ts";
import { readMissedEvents } from "../stripe/missed-events.ts";
import { markHandled } from "../stripe/webhook.ts";
import { retryUnhandled, type InboxDeps } from "../stripe/webhook-inbox.ts";

const RECONCILE_SECONDS = 60;
const WAITING_REFUNDS_SECONDS = 60;
const MISSED_EVENTS_SECONDS = 3_600;
const MISSED_BALANCES_SECONDS = 600;

/** Starts the settlement of payments. What is being settled ends before the service stops. */
export function startSettlement(
  service: Service,
  deps: PaymentDeps & Pick<InboxDeps, "webhooks">,
  lowPriority: NonNullable<SettlementOptions["lowPriority"]>,
): SettlementWorker {
  const worker = startSettlementWorker(deps, {
    markHandled: (eventIds) => markHandled(deps.webhooks, eventIds),
    lowPriority,
  });
  service.onStop(() => worker.close());
  return worker;
}

/** Repeats the work that brings payments to their final state, after a crash or a lost webhook as well. */
export function startReconciliation(
  service: Service,
  deps: PayoutDeps & InboxDeps & { lowPriorityStripe: Stripe },
  worker: SettlementWorker,
): void {
  service.every(RECONCILE_SECONDS, "reconciling with Stripe", async () => {
    await retryUnhandled(deps);
    await worker.reconcile();
  });
  const raiseAlarms = alarmOnWaitingRefunds(deps);
  service.every(WAITING_REFUNDS_SECONDS, "checking for waiting refunds", raiseAlarms);
  const readEvents = readMissedEvents({ ...deps, stripe: deps.lowPriorityStripe });
  service.every(MISSED_EVENTS_SECONDS, "reading missed Stripe events", readEvents);
}

/** Keeps balances up to date and pays sellers out. It starts once the order replica is complete. */
export async function startPayouts(
  service: Service,
  deps: PayoutDeps,
  { PAYOUT_SWEEP_SECONDS: sweepSeconds }: { PAYOUT_SWEEP_SECONDS: number },
): Promise<void> {
  await markUnmaterialized(deps);
  service.every(MISSED_BALANCES_SECONDS, "marking missed balance changes", () =>
    markRecentlyMissed(deps),
  );
  const worker = payoutWorker(deps);
  service.every(sweepSeconds, "paying sellers out", () => worker.sweep());
  service.onStop(() => worker.stop());
}
