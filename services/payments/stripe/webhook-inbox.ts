import { z } from "zod";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { pollIntervalMs } from "./poll-interval.ts";
import type { Webhook, Webhooks } from "./webhook.ts";

/** For this long, the instance that stored an event works on it; after that, any instance retries it. */
const CLAIM_MS = 60_000;

const id = z.string().min(1).max(255);

/** The fields of every event. A valid signature does not make them well-formed, and they go into queries. */
const envelope = z.object({ id, type: id });

/** The fields that are read of the events that have a listener. */
const subjectEnvelope = z.object({
  data: z.object({
    object: z.object({
      id: id.nullish(),
      metadata: z.object({ order_id: z.string().max(500).nullish() }).nullish(),
      payment_intent: id.nullish(),
    }),
  }),
});
type Subject = z.infer<typeof subjectEnvelope>["data"]["object"];

/** Polls Stripe when an event says that something has changed. */
export interface WebhookListener {
  /** Whether this listener handles events of a type. */
  accepts(type: string): boolean;
  /** Our id of the subject of an event; undefined if it is not ours. */
  subjectOf(object: Subject): Promise<string | undefined>;
  /** Enqueues a poll of the subject. Once its result is stored, the event is marked as handled. */
  enqueue(subject: string, eventId: string): void;
}

export interface InboxDeps {
  webhooks: Webhooks;
  listeners: readonly WebhookListener[];
}

/**
 * Stores an event by its id and enqueues a poll of its subject. An event that is already stored, or is
 * not about anything of ours, changes nothing. Returns false if it is not a valid event.
 */
export async function storeWebhook(
  { webhooks, listeners }: InboxDeps,
  event: unknown,
): Promise<boolean> {
  const { data: known } = envelope.safeParse(event);
  if (!known) return false;
  const { id, type } = known;
  const listener = listeners.find((each) => each.accepts(type));
  if (!listener) return true;
  const { data: parsed } = subjectEnvelope.safeParse(event);
  if (!parsed) return false;
  const subject = await listener.subjectOf(parsed.data.object);
  if (subject === undefined) return true;
  try {
    const receivedAt = new Date();
    const askTime = new Date(receivedAt.getTime() + CLAIM_MS);
    await webhooks.create({ _id: id, type, subject, receivedAt, askTime });
  } catch (error) {
    if (!duplicateKeyIndex(error)) throw error;
    return true; // The instance that stored it enqueues the poll, or `retryUnhandled` does.
  }
  listener.enqueue(subject, id);
  return true;
}

/**
 * Enqueues again the events that a crash or an error of Stripe's has left unhandled. Each is claimed by
 * one instance at a time, and older events are retried less often.
 */
export async function retryUnhandled(
  { webhooks, listeners }: InboxDeps,
  now: number = Date.now(),
): Promise<void> {
  const due = { handledAt: null, $or: [{ askTime: null }, { askTime: { $lte: new Date(now) } }] };
  const unhandled = webhooks.find(due).sort({ receivedAt: 1 }).lean<Webhook[]>().cursor();
  for await (const found of unhandled as AsyncIterable<Webhook>) {
    const { _id, type, subject, receivedAt, askTime = null } = found;
    const next = new Date(now + pollIntervalMs(now - receivedAt.getTime()));
    const { modifiedCount } = await webhooks.updateOne({ _id, askTime }, { askTime: next });
    if (modifiedCount === 0) continue;
    listeners.find((each) => each.accepts(type))?.enqueue(subject, _id);
  }
}
