import { setTimeout as passing } from "node:timers/promises";
import { ClaimKindSchema } from "@ticketing/proto/payments/v1/claim";
import { ClaimsAnsweredSchema } from "@ticketing/proto/payments/v1/payment_events";
import { Schema, type Connection } from "mongoose";
import { CallError } from "#runtime/errors.ts";
import { AuthError } from "../errors.ts";
import { on, type EventHandler } from "#runtime/messaging/consumer.ts";
import { newId } from "#runtime/store/ids.ts";

// What is due to somebody who wants to leave. Payments knows, and is asked by an event at the moment of
// the decision; see docs/decisions/0023-claims-are-confirmed-before-deletion.md.

/** One thing that is due. */
export interface KnownClaim {
  id: string;
  /** Its kind, in the contract's word. */
  kind: string;
}

interface AnswerFields {
  /** The request's id. */
  _id: string;
  claims: KnownClaim[];
  createTime: Date;
}

/** Whoever has asked has gone by then. */
const KEEP_SECONDS = 600;
const POLL_MS = 25;
const LONGEST_MS = 4_000;

const claim = new Schema<KnownClaim>(
  { id: { type: String, required: true }, kind: { type: String, required: true } },
  { _id: false, id: false },
);
const schema = new Schema<AnswerFields>(
  {
    _id: { type: String, required: true },
    claims: [claim],
    createTime: { type: Date, required: true, expires: KEEP_SECONDS },
  },
  { versionKey: false },
);

export const claimModel = (db: Connection) => db.model("ClaimAnswer", schema, "claims");

const words: Record<string, string> = {
  EARNINGS: "earnings are not paid out: set up payouts, and wait for the event",
  PAYOUT: "a payout is on its way: wait until it has arrived",
  TICKET: "a paid ticket is not used: open its code, or wait for the event",
  REFUND: "money is on its way back: wait until it has arrived",
  ORDER: "an order is open: pay or cancel it",
  SALE: "somebody is buying a ticket: wait until they have paid or given up",
};

/** Refuses while anything is due that was not given up, by the id that the person has seen. */
export function mustBeGivenUp(due: readonly KnownClaim[], forfeit: readonly string[]): void {
  const given = new Set(forfeit);
  const left = due.filter(({ id }) => !given.has(id));
  if (left.length === 0) return;
  throw new AuthError("ACCOUNT_HAS_CLAIMS", "something is due to this account", {
    obstacles: left.map(({ id, kind }) => ({
      type: kind,
      subject: id,
      description: words[kind] ?? "something is due",
    })),
  });
}

interface Deps {
  answers: ReturnType<typeof claimModel>;
  ask: (request: { requestId: string; userId: string }) => Promise<void>;
}

/** Asks payments, and waits for the answer, which any instance may hear. */
export function claimDesk({ answers, ask }: Deps) {
  const handler: EventHandler = on(ClaimsAnsweredSchema, async ({ requestId, claims }) => {
    const known = claims.map(({ id, kind }) => ({
      id,
      kind: ClaimKindSchema.value[kind]?.localName ?? "UNSPECIFIED",
    }));
    const answer = { claims: known, createTime: new Date() };
    await answers.updateOne({ _id: requestId }, { $setOnInsert: answer }, { upsert: true });
  });
  return {
    handler,
    async claimsOf(userId: string): Promise<KnownClaim[]> {
      const requestId = newId();
      await ask({ requestId, userId });
      for (const end = Date.now() + LONGEST_MS; Date.now() < end; await passing(POLL_MS)) {
        const answer = await answers.findById(requestId).lean<AnswerFields>();
        if (answer) return answer.claims;
      }
      throw new CallError("NOT_READY", "what is due cannot be found out now; try again", {
        retryAfterMs: 2_000,
      });
    },
  };
}
