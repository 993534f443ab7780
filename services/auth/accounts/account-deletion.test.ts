import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { PreconditionFailureSchema } from "@ticketing/proto/google/rpc/error_details";
import { ClaimKind } from "@ticketing/proto/payments/v1/claim";
import { ClaimsAnsweredSchema } from "@ticketing/proto/payments/v1/payment_events";
import { describe, expect, it } from "vitest";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import {
  claimAnswerHandler,
  claimAnswerModel,
  requestClaims,
  type ClaimDeps,
  type OpenClaim,
} from "./claims.ts";
import { testAuth } from "../testing.ts";

describe("an account with open claims", async () => {
  let due: OpenClaim[] = [];
  const { account, users, member } = await testAuth({ due: () => due });

  async function leaver() {
    const { id, password, as } = await member();
    const leave = (...forfeit: string[]) => account.deleteAccount({ password, forfeit }, as);
    const status = async () => (await users.findById(id).lean().orFail()).status;
    const forfeited = async () => (await users.findById(id).lean().orFail()).forfeited;
    return { leave, status, forfeited };
  }

  const earnings = { id: "earnings:EUR:2550", kind: "EARNINGS" };
  const ticket = { id: "ticket:order-1", kind: "TICKET" };

  it("is not deleted, and the error names each claim", async () => {
    due = [earnings, ticket];
    const ann = await leaver();
    expect(await refusal(ann.leave())).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "ACCOUNT_HAS_CLAIMS",
    });
    const error = await ann.leave().catch((cause: unknown) => ConnectError.from(cause));
    const [details] = (error as ConnectError).findDetails(PreconditionFailureSchema);
    expect(details?.violations.map(({ type, subject }) => `${type} ${subject}`)).toEqual([
      "EARNINGS earnings:EUR:2550",
      "TICKET ticket:order-1",
    ]);
    expect(await ann.status()).toBe("ACTIVE");
  });

  it("is deleted when all claims are forfeited, and their ids are stored", async () => {
    due = [earnings, ticket];
    const ann = await leaver();
    expect((await refusal(ann.leave(ticket.id))).reason).toBe("ACCOUNT_HAS_CLAIMS");
    await ann.leave(ticket.id, earnings.id);
    expect(await ann.status()).toBe("DELETED");
    expect(await ann.forfeited()).toEqual([earnings.id, ticket.id]);
  });

  it("is not deleted if a claim is new since its owner saw the list", async () => {
    due = [{ id: "earnings:EUR:9999", kind: "EARNINGS" }];
    const ann = await leaver();
    expect((await refusal(ann.leave(earnings.id))).reason).toBe("ACCOUNT_HAS_CLAIMS");
    expect(await ann.status()).toBe("ACTIVE");
  });
});

describe("a claim request to payments", () => {
  async function claimsFixture(isAnswered: boolean): Promise<ClaimDeps> {
    const answers = claimAnswerModel(await testDatabase());
    await buildIndexes(answers);
    const claims = [{ id: "ticket:order-1", kind: ClaimKind.TICKET }];
    return {
      answers,
      async publish(_schema, _subject, { requestId, userId }) {
        if (!isAnswered) return;
        const event = create(ClaimsAnsweredSchema, { requestId, userId, claims });
        // Another instance receives the answer twice.
        const other = claimAnswerHandler(answers);
        for (let i = 0; i < 2; i += 1) await other.handle(event);
      },
    };
  }

  it("gets the answer, whichever instance receives it", async () => {
    const claims = await requestClaims(await claimsFixture(true), "ann");
    expect(claims).toMatchObject([{ id: "ticket:order-1", kind: "TICKET" }]);
  });

  it("fails without an answer", async () => {
    const claims = requestClaims(await claimsFixture(false), "ann");
    await expect(claims).rejects.toMatchObject({ reason: "NOT_READY" });
  });
});
