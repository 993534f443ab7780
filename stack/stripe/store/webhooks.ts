import { createHash, createHmac } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import Stripe from "stripe";
import type { Journal } from "./journal.ts";
import { type Event, now, type WebhookEndpoint } from "../objects/objects.ts";

/** The URL that receives events, and the secret that signs them. */
export interface Endpoint {
  url: string;
  secret: string;
}

/**
 * How events are delivered: `events` are the types that the endpoint subscribes to. With `shuffle` each
 * event waits for a random part of `delay` (ms).
 */
export interface Delivery {
  events: string[];
  off: boolean;
  duplicate: boolean;
  shuffle: boolean;
  delay: number;
}

const USUAL: Delivery = { events: ["*"], off: false, duplicate: false, shuffle: false, delay: 0 };
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 60_000;
const TRIES = 30; // The backoff grows to a minute, so this is about twenty minutes.
const TIMEOUT = 10_000;

/** Delivers events to the endpoint at least once and in any order, as Stripe does. */
export class Webhooks {
  readonly #endpoint: Endpoint;
  readonly #journal: Journal;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #started = now();
  #delivery = USUAL;
  #waiting: Event[] = [];

  constructor(endpoint: Endpoint, journal: Journal) {
    this.#endpoint = endpoint;
    this.#journal = journal;
    this.send(journal.all("event").filter((event) => event.pending_webhooks > 0));
  }

  /** Whether the endpoint subscribes to events of this type. */
  wants(type: string): boolean {
    return this.#delivery.events.some((each) => each === "*" || each === type);
  }

  /**
   * The endpoint as the API shows it: two endpoints, one of them for events of connected accounts. Both
   * have the same address and, unlike at Stripe, the same secret.
   */
  get endpoints(): WebhookEndpoint[] {
    const { url } = this.#endpoint;
    const { events } = this.#delivery;
    const isOfAccounts = (type: string): boolean => type.startsWith("account.");
    const one = (application: string | null, enabled: string[]): WebhookEndpoint => ({
      id: `we_${createHash("sha256").update(`${url} ${application}`).digest("hex").slice(0, 24)}`,
      object: "webhook_endpoint",
      api_version: Stripe.API_VERSION,
      application,
      created: this.#started,
      description: null,
      enabled_events: enabled,
      livemode: false,
      metadata: {},
      status: "enabled",
      url,
    });
    const ofAccounts = events.filter((type) => type === "*" || isOfAccounts(type));
    const connect = ofAccounts.length > 0 ? [one("ca_local", ofAccounts)] : [];
    return [
      one(
        null,
        events.filter((type) => !isOfAccounts(type)),
      ),
      ...connect,
    ];
  }

  /** Starts delivery. While webhooks are off, events wait. */
  send(events: Event[]): void {
    if (this.#delivery.off) {
      this.#waiting.push(...events);
      return;
    }
    for (const event of events) this.#begin(event, this.#delivery);
  }

  /** Sends an event again at once. */
  replay(event: Event): void {
    this.#begin(event, USUAL);
  }

  /** Changes how events are delivered from now on. Options that are missing have their defaults. */
  set(delivery: Partial<Delivery>): void {
    this.#delivery = { ...USUAL, ...delivery };
    this.send(this.#waiting.splice(0));
  }

  /** Stops delivery. Undelivered events are sent after the next start. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  #begin(event: Event, delivery: Delivery): void {
    const running = this.#deliver(event, delivery).catch((error: unknown) => {
      // The event stays pending, and the next start sends it.
      if (!this.#stop.signal.aborted) console.error(error);
    });
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  async #deliver(event: Event, { delay, shuffle, duplicate }: Delivery): Promise<void> {
    const { signal } = this.#stop;
    if (delay > 0) await pause(shuffle ? Math.random() * delay : delay, undefined, { signal });
    for (let tries = 0; tries < TRIES; tries++) {
      if (await this.#post(event)) {
        if (duplicate) await this.#post(event);
        this.#journal.put([{ ...event, pending_webhooks: 0 }]);
        return;
      }
      await pause(Math.min(FIRST_PAUSE * 2 ** tries, LONGEST_PAUSE), undefined, { signal });
    }
  }

  async #post(event: Event): Promise<boolean> {
    const { url, secret } = this.#endpoint;
    const body = JSON.stringify(event, null, 2);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "stripe-signature": signature(body, secret),
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
        body,
        redirect: "manual",
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIMEOUT)]),
      });
      await response.body?.cancel();
      return response.ok;
    } catch (error) {
      if (this.#stop.signal.aborted) throw error;
      return false; // The endpoint is unreachable or too slow, so delivery is retried.
    }
  }
}

function signature(body: string, secret: string): string {
  const t = now();
  return `t=${t},v1=${createHmac("sha256", secret).update(`${t}.${body}`).digest("hex")}`;
}
