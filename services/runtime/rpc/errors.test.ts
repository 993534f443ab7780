import { Code, ConnectError } from "@connectrpc/connect";
import { Access } from "@ticketing/proto/options/v1/options";
import { Schema } from "mongoose";
import { describe, expect, it } from "vitest";
import { DomainError, InvalidFields } from "../errors.ts";
import { connectDatabase } from "../store/database.ts";
import { eventually } from "../testing/eventually.ts";
import { recordedLog, silentLog } from "../testing/log.ts";
import { refusal } from "../testing/refusal.ts";
import { testDatabaseUri } from "../testing/database.ts";
import { testServer } from "../testing/server.ts";
import { databaseProxy } from "../testing/proxy.ts";
import { wordService, type WordClient } from "../testing/word-service.ts";

let fail: () => unknown = () => undefined;
const { service, routes } = wordService({
  Fail: { access: Access.ANYONE, answer: async () => String(await fail()) },
});
const { log, lines } = recordedLog();
const server = await testServer(routes, { log });
const clients = [server.connect(service), server.grpc(service)] as unknown as WordClient[];

/** The errors of the calls over both protocols. */
function errorsOf(how: () => unknown) {
  fail = how;
  return Promise.all(clients.map((client) => refusal(client["fail"]?.({}) as Promise<unknown>)));
}

describe("a client receives", () => {
  it("the code, the reason, the message and the details of a domain error", async () => {
    const details = { metadata: { until: "soon" }, retryAfterMs: 1250 };
    const refused = await errorsOf(() => {
      throw new DomainError(
        "TICKET_HELD",
        Code.FailedPrecondition,
        "somebody else holds this ticket",
        details,
      );
    });
    for (const each of refused) {
      expect(each).toEqual({
        code: Code.FailedPrecondition,
        message: "somebody else holds this ticket",
        reason: "TICKET_HELD",
        metadata: { until: "soon" },
        violations: [],
        retryAfterMs: 1250,
      });
    }
  });

  it("every wrong field", async () => {
    const refused = await errorsOf(() => {
      throw new InvalidFields([
        { field: "price.nanos", description: "EUR has 2 digits after the point" },
        { field: "title", description: "is too long", reason: "STRING_MAX_LEN" },
      ]);
    });
    for (const each of refused) {
      expect(each.code).toBe(Code.InvalidArgument);
      expect(each.violations).toEqual(["price.nanos", "title STRING_MAX_LEN"]);
    }
  });

  it("no detail of an unexpected error, which is only logged", async () => {
    const refused = await errorsOf(() => {
      throw new Error("password of the database: hunter2");
    });
    for (const each of refused) {
      expect(each).toMatchObject({ code: Code.Internal, reason: undefined, metadata: {} });
      expect(JSON.stringify(each)).not.toContain("hunter2");
    }
    const told = lines.filter(({ msg }) => msg === "call failed");
    expect(told).toHaveLength(2);
    expect(told[0]).toMatchObject({ call: "test.WordService/Fail" });
    expect(JSON.stringify(told)).toContain("hunter2");
  });

  it("an error of the protocol that a handler throws", async () => {
    const refused = await errorsOf(() => {
      throw new ConnectError("not here", Code.Unimplemented);
    });
    for (const each of refused)
      expect(each).toMatchObject({ code: Code.Unimplemented, message: "not here" });
  });

  it("a retry delay of one second while the database is unavailable", async () => {
    const { uri, line } = await databaseProxy(testDatabaseUri());
    const db = await connectDatabase(uri, silentLog);
    const things = db.model("Thing", new Schema({ name: String }), "things");
    const ask = (): Promise<number> => things.countDocuments().exec();
    expect(await ask()).toBe(0);
    line.cut();
    for (const each of await errorsOf(ask)) {
      expect(each).toMatchObject({
        code: Code.Unavailable,
        reason: "STORE_UNAVAILABLE",
        retryAfterMs: 1000,
      });
      expect(each.message).not.toMatch(/mongo|127\.0\.0\.1/i);
    }
    line.mend();
    await eventually(() => ask().then(() => true), "the database to be available");
    expect(await ask()).toBe(0);
    await db.close();
  });
});
