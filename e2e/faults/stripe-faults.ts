import { setTimeout as passing } from "node:timers/promises";
import type { System } from "#stack/launcher";

export interface StripeFaults {
  /** Kills the local Stripe, whatever it is doing. */
  killStripe(): Promise<void>;
  /** Stripe stops responding for this time, and then continues. */
  freezeStripe(ms: number): Promise<void>;
  /** The next responses of Stripe are late, lost or server errors. */
  injectStripeFaults(times: number): Promise<void>;
  /** While `during` runs, webhooks are duplicated, late and reordered, or held back until its end. */
  disorderWebhooks(during: () => Promise<void>): Promise<void>;
}

const RESPONSE_FAULTS = [
  { drop: true },
  { fail: 500 },
  { fail: 500, late: true },
  { fail: 429 },
  { slow: 3_000 },
  { slow: 9_000 },
];
const WEBHOOK_DELAY_MS = 4_000;

export function stripeFaults({ stripe }: System, random: () => number): StripeFaults {
  const { process, url } = stripe;
  if (!process) throw new Error("faults need a Stripe of their own");

  async function control(method: string, path: string, body?: object): Promise<void> {
    const response = await fetch(`${url}/_test/${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  return {
    async killStripe() {
      process.child.kill("SIGKILL");
      await process.child.exited;
      await process.restart();
    },
    async freezeStripe(ms) {
      process.child.kill("SIGSTOP");
      await passing(ms);
      process.child.kill("SIGCONT");
    },
    async injectStripeFaults(times) {
      for (let i = 0; i < times; i += 1) {
        const fault = RESPONSE_FAULTS[Math.floor(random() * RESPONSE_FAULTS.length)];
        await control("POST", "faults", { path: "/v1/payment_intents", ...fault });
      }
    },
    async disorderWebhooks(during) {
      const isLate = random() < 0.5;
      const disorder = isLate
        ? { duplicate: true, shuffle: true, delay: WEBHOOK_DELAY_MS }
        : { off: true };
      await control("PUT", "webhooks", disorder);
      await during().finally(() => control("PUT", "webhooks", {}));
    },
  };
}
