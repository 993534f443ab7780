import { type Connection, Schema } from "mongoose";
import type Stripe from "stripe";
import { z } from "zod";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { pollIntervalMs } from "./poll-interval.ts";
import { WEBHOOK_EVENTS } from "./webhook-events.ts";

/** An event of Stripe's, stored before it is acknowledged. */
export interface Webhook {
  /** Stripe's id of it. */
  _id: string;
  type: string;
  /** Our id of what it is about. */
  subject: string;
  receivedAt: Date;
  /** When somebody takes it up again who finds it unhandled. */
  askTime?: Date;
  /** When what it made us ask for was stored; absent before. */
  handledAt?: Date;
}

/** So long an event is in the hands of whoever has stored it. */
const IN_HAND_MS = 60_000;

const MONTH_SECONDS = 30 * 86_400;

const schema = new Schema<Webhook>(
  {
    _id: { type: String, required: true },
    type: { type: String, required: true },
    subject: { type: String, required: true },
    receivedAt: { type: Date, required: true, expires: MONTH_SECONDS },
    askTime: Date,
    handledAt: { type: Date, index: true },
  },
  { versionKey: false },
);

export const webhookModel = (db: Connection) => db.model("Webhook", schema, "webhooks");

export type Webhooks = ReturnType<typeof webhookModel>;

const id = z.string().min(1).max(255);

/** What every event has. Signed is not yet well-formed: what we read of it goes into queries. */
const envelope = z.object({ id, type: id });

/** What we read of the events that we hear. */
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

/** Somebody who looks at Stripe when it says that something has happened. */
export interface WebhookListener {
  /** Whether events of this type are for them. */
  accepts: (type: string) => boolean;
  /** What it is about, by our id of it; nothing where it is not ours. */
  subjectOf: (object: Subject) => Promise<string | undefined>;
  /** Looks at that, later; once what Stripe answers is stored, the event is `handled`. */
  enqueue: (subject: string, eventId: string) => void;
}

interface InboxDeps {
  webhooks: Webhooks;
  listeners: readonly WebhookListener[];
}

/**
 * Stores an event by its id, and looks at what it is about; one that is known already, or is not ours,
 * changes nothing. Answers whether it was an event at all.
 */
export async function storeWebhook(
  { webhooks, listeners }: InboxDeps,
  event: unknown,
): Promise<boolean> {
  const { data: known } = envelope.safeParse(event);
  if (!known) return false;
  const { id, type } = known;
  const listener = listeners.find(({ accepts: hears }) => hears(type));
  if (!listener) return true;
  const { data: heard } = subjectEnvelope.safeParse(event);
  if (!heard) return false;
  const subject = await listener.subjectOf(heard.data.object);
  if (subject === undefined) return true; // Not ours.
  try {
    const receivedAt = new Date();
    const askTime = new Date(receivedAt.getTime() + IN_HAND_MS);
    await webhooks.create({ _id: id, type, subject, receivedAt, askTime });
  } catch (error) {
    if (!duplicateKeyIndex(error)) throw error;
    return true; // Asked about, or about to be: by whoever stored it, or by `askAgain`.
  }
  listener.enqueue(subject, id);
  return true;
}

/** What these events made us ask for is stored. */
export const markHandled = (webhooks: Webhooks, eventIds: readonly string[]): Promise<unknown> =>
  webhooks.updateMany({ _id: { $in: eventIds } }, { handledAt: new Date() });

/**
 * Asks again because of the events that a crash, or a fault of Stripe's, has left: each from one
 * instance at a time, and the older ones more rarely.
 */
export async function retryUnhandled(
  { webhooks, listeners }: InboxDeps,
  now: number = Date.now(),
): Promise<void> {
  const due = { handledAt: null, $or: [{ askTime: null }, { askTime: { $lte: new Date(now) } }] };
  const left = webhooks.find(due).sort({ receivedAt: 1 }).lean<Webhook[]>().cursor();
  for await (const found of left as AsyncIterable<Webhook>) {
    const { _id, type, subject, receivedAt, askTime = null } = found;
    const next = new Date(now + pollIntervalMs(now - receivedAt.getTime()));
    const { modifiedCount } = await webhooks.updateOne({ _id, askTime }, { askTime: next });
    if (modifiedCount > 0)
      listeners.find(({ accepts: hears }) => hears(type))?.enqueue(subject, _id);
  }
}

/** So far back Stripe is asked at the start: for as long as it tries to deliver an event, and more. */
const LONGEST_OUTAGE_MS = 7 * 86_400_000;

/** An event may show up in Stripe's list a little later than it says. */
const OVERLAP_MS = 3_600_000;

interface CatchUpDeps extends InboxDeps {
  stripe: Stripe;
  now: () => number;
}

/**
 * Reads in Stripe's own list what its webhooks should have told us: an endpoint may have been switched
 * off, or have had another secret. What is at rest here (a payment that was taken) is looked at for no
 * other reason, so without this a dispute or a refund that nobody told us of would stay unknown.
 */
export function readMissedEvents({ stripe, now, ...taking }: CatchUpDeps): () => Promise<void> {
  let since = now() - LONGEST_OUTAGE_MS;
  return async () => {
    const begun = now();
    const created = { gte: Math.floor(since / 1000) };
    const types = WEBHOOK_EVENTS.filter((type) => /^(charge|refund)\./.test(type));
    for await (const event of stripe.events.list({ types, created, limit: 100 })) {
      await storeWebhook(taking, event);
    }
    since = begun - OVERLAP_MS;
  };
}

export const WEBHOOK_EVENT_TYPES: ReadonlySet<string> = new Set(WEBHOOK_EVENTS);
