import { collectDefaultMetrics, Counter, Registry } from "prom-client";

const counters = new Registry();

/**
 * Events by outcome: `published`, or `refused` by the broker (they stay in the outbox); `handled`, `retried`
 * after a failure, or `dead` (dead letters).
 */
export const eventCounter = new Counter({
  name: "ticketing_events_total",
  help: "Events by what became of them: published, refused, handled, retried, dead.",
  labelNames: ["outcome", "type"] as const,
  registers: [counters],
});

/** Emails by outcome: `sent`, `unneeded`, `postponed` (retried later), or `refused` permanently. */
export const mailCounter = new Counter({
  name: "ticketing_mails_total",
  help: "Mails by what became of them: sent, unneeded, postponed, refused.",
  labelNames: ["outcome", "cause"] as const,
  registers: [counters],
});

/**
 * How often the delay of the event loop is measured. The default of 10 ms wakes a process a hundred times
 * a second, which was a third of what a service used at rest. Each wake-up costs a process at rest a millisecond or two.
 */
const LOOP_DELAY_STEP_MS = 1_000;

/** All metrics of a process, for Prometheus. */
export function processMetrics(service: string): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_DELAY_STEP_MS });
  const all = Registry.merge([registry, counters]);
  all.setDefaultLabels({ service });
  return all;
}
