import { setTimeout as sleep } from "node:timers/promises";
import { ClaimsRequestedSchema } from "@ticketing/proto/auth/v1/user_events";
import { ClaimKindSchema } from "@ticketing/proto/payments/v1/claim";
import { ClaimsAnsweredSchema } from "@ticketing/proto/payments/v1/payment_events";
import { Schema, type Connection } from "mongoose";
import { CallError } from "#runtime/errors.ts";
import { on, type EventHandler } from "#runtime/messaging/consumer.ts";
import { newId } from "#runtime/store/ids.ts";
import { AuthError } from "../errors.ts";

// The claims of a user who deletes their account: what the marketplace still owes them. Payments knows
// them, and is asked by an event; see docs/decisions/0023-claims-are-confirmed-before-deletion.md.

export interface OpenClaim {
  id: string;
  /** The kind, as the contract names it. */
  kind: string;
}

interface ClaimAnswerFields {
  /** The id of the request. */
  _id: string;
  claims: OpenClaim[];
  createTime: Date;
}

/** Longer than any request waits. */
const RETENTION_SECONDS = 600;
const POLL_MS = 25;
const TIMEOUT_MS = 4_000;

const claimSchema = new Schema<OpenClaim>(
  { id: { type: String, required: true }, kind: { type: String, required: true } },
  { _id: false, id: false },
);
const schema = new Schema<ClaimAnswerFields>(
  {
    _id: { type: String, required: true },
    claims: [claimSchema],
    createTime: { type: Date, required: true, expires: RETENTION_SECONDS },
  },
  { versionKey: false },
);

export const claimAnswerModel = (db: Connection) => db.model("ClaimAnswer", schema, "claims");
export type ClaimAnswers = ReturnType<typeof claimAnswerModel>;

const descriptions: Record<string, string> = {
  EARNINGS: "earnings are not paid out: set up payouts, and wait for the event",
  PAYOUT: "a payout is in transit: wait until it has arrived",
  TICKET: "a paid ticket is not used: reveal its code, or wait for the event",
  REFUND: "a refund is in transit: wait until it has arrived",
  ORDER: "an order is open: pay or cancel it",
  SALE: "a ticket is being bought: wait until the purchase ends",
};

/** Refuses while there are claims that the user has not forfeited by their id. */
export function mustBeForfeited(claims: readonly OpenClaim[], forfeit: readonly string[]): void {
  const forfeited = new Set(forfeit);
  const remaining = claims.filter(({ id }) => !forfeited.has(id));
  if (remaining.length === 0) return;
  throw new AuthError("ACCOUNT_HAS_CLAIMS", "something is due to this account", {
    obstacles: remaining.map(({ id, kind }) => ({
      type: kind,
      subject: id,
      description: descriptions[kind] ?? "something is due",
    })),
  });
}

export interface ClaimDeps {
  answers: ClaimAnswers;
  /** Publishes the request to payments. */
  publish: (
    schema: typeof ClaimsRequestedSchema,
    subject: string,
    request: { requestId: string; userId: string },
  ) => Promise<void>;
}

/** Stores the answers of payments. Any instance may receive the answer to a request. */
export const claimAnswerHandler = (answers: ClaimAnswers): EventHandler =>
  on(ClaimsAnsweredSchema, async ({ requestId, claims }) => {
    const openClaims = claims.map(({ id, kind }) => ({
      id,
      kind: ClaimKindSchema.value[kind]?.localName ?? "UNSPECIFIED",
    }));
    const answer = { claims: openClaims, createTime: new Date() };
    await answers.updateOne({ _id: requestId }, { $setOnInsert: answer }, { upsert: true });
  });

/** Requests the claims of a user from payments, and waits for the answer. */
export async function requestClaims(
  { answers, publish }: ClaimDeps,
  userId: string,
): Promise<OpenClaim[]> {
  const requestId = newId();
  await publish(ClaimsRequestedSchema, userId, { requestId, userId });
  for (const end = Date.now() + TIMEOUT_MS; Date.now() < end; await sleep(POLL_MS)) {
    const answer = await answers.findById(requestId).lean<ClaimAnswerFields>();
    if (answer) return answer.claims;
  }
  throw new CallError("NOT_READY", "what is due cannot be found out now; try again", {
    retryAfterMs: 2_000,
  });
}
