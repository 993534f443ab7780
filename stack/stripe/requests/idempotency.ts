import { createHash } from "node:crypto";
import { StripeError } from "../objects/errors.ts";
import type { Journal } from "../store/journal.ts";
import { type Answer, now } from "../objects/objects.ts";
import type { Form } from "./params.ts";

const DAY = 24 * 60 * 60;

/** What distinguishes requests with the same key. */
export function fingerprint(method: string, path: string, form: Form): string {
  const text = JSON.stringify([method, path, sorted(form)]);
  return createHash("sha256").update(text).digest("hex");
}

function sorted(form: Form): unknown {
  const names = Object.keys(form).sort();
  return names.map((name) => {
    const value = form[name] ?? "";
    return [name, typeof value === "string" ? value : sorted(value)];
  });
}

/** The idempotency keys: the requests in progress, and the stored responses of completed requests. */
export class IdempotencyKeys {
  readonly #journal: Journal;
  readonly #held = new Set<string>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /**
   * Locks the key for this request, or returns the stored response. Rejects a key that another request
   * has locked or that was used with other parameters. That error is not stored.
   */
  take(key: string, request: string): Answer | undefined {
    if (key.length > 255) throw refusal(400, "Idempotency keys can be up to 255 characters long.");
    if (this.#held.has(key)) {
      const message = `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`;
      throw refusal(409, message, "idempotency_key_in_use");
    }
    const answer = this.#journal.get("answer", key);
    if (!answer || answer.created <= now() - DAY) {
      this.#held.add(key);
      return undefined;
    }
    if (answer.request === request) return answer;
    const message = `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`;
    throw refusal(400, message);
  }

  release(key: string): void {
    this.#held.delete(key);
  }
}

function refusal(status: number, message: string, code?: string): StripeError {
  const type = "idempotency_error";
  return new StripeError(status, code ? { type, code, message } : { type, message }, "invalid");
}
