import Stripe from "stripe";
import { noSuch } from "../objects/errors.ts";
import type { Journal } from "./journal.ts";
import { type Event, newId, now, type Tables } from "../objects/objects.ts";
import type { Webhooks } from "./webhooks.ts";

/**
 * The unit of work of one request. It reads the journal and its own changes, and writes its changes as
 * one line, or not at all.
 */
export class Unit {
  readonly #journal: Journal;
  readonly #webhooks: Webhooks | undefined;
  readonly #request: Event["request"];
  readonly #events: Event[] = [];
  readonly #changes = new Map<string, Tables[keyof Tables]>();

  constructor(journal: Journal, webhooks: Webhooks | undefined, request: Event["request"]) {
    this.#journal = journal;
    this.#webhooks = webhooks;
    this.#request = request;
  }

  /** The object that a path (404) or a parameter (400) names. */
  find<K extends keyof Tables>(kind: K, id: string, param: string, status = 400): Tables[K] {
    const changed = this.#changes.get(`${kind}/${id}`) as Tables[K] | undefined;
    const found = changed ?? this.#journal.get(kind, id);
    const name = kind === "payment_method" ? "PaymentMethod" : kind; // As at Stripe.
    if (!found) throw noSuch(name, id, param, status);
    return found;
  }

  all<K extends keyof Tables>(kind: K): Tables[K][] {
    return this.#journal.all(kind);
  }

  put<T extends Tables[keyof Tables]>(thing: T): T {
    this.#changes.set(`${thing.object}/${thing.id}`, thing);
    return thing;
  }

  /** Creates an event with the current state of the object. */
  announce(type: string, object: Event["data"]["object"]): void {
    const event: Event = {
      id: newId("evt"),
      object: "event",
      ...(object.object === "account" ? { account: object.id } : {}),
      api_version: Stripe.API_VERSION,
      created: now(),
      data: { object },
      livemode: false,
      pending_webhooks: this.#webhooks?.wants(type) ? 1 : 0,
      request: this.#request,
      type,
    };
    this.#events.push(this.put(event));
  }

  /** Discards the changes of a failed request. */
  undo(): void {
    this.#changes.clear();
    this.#events.length = 0;
  }

  /** Writes the changes, and then sends the events. */
  commit(): void {
    this.#journal.put([...this.#changes.values()]);
    this.#webhooks?.send(this.#events.filter((event) => event.pending_webhooks > 0));
  }
}

/** What a unit of work reads and writes. */
export interface Backend {
  journal: Journal;
  webhooks: Webhooks | undefined;
}

/** Applies a change without an API request: by a buyer, a bank or the clock. */
export function unasked<T>({ journal, webhooks }: Backend, work: (unit: Unit) => T): T {
  const unit = new Unit(journal, webhooks, { id: null, idempotency_key: null });
  const done = work(unit);
  unit.commit();
  return done;
}
