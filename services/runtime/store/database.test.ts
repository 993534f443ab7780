import { createServer, connect } from "node:net";
import { once } from "node:events";
import { mongo, Schema } from "mongoose";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "#stack/process";
import { buildIndexes } from "./indexes.ts";
import {
  isDatabaseReachable,
  connectDatabase,
  duplicateKeyIndex,
  isDatabaseFault,
} from "./database.ts";
import { eventually } from "../testing/eventually.ts";
import { recordedLog, silentLog } from "../testing/log.ts";
import { testDatabase, testDatabaseUri } from "../testing/database.ts";
import { databaseProxy } from "../testing/proxy.ts";

describe("the connection to the database", () => {
  it("waits for a database that is not available yet, and has the same guarantees then", async () => {
    const port = await freePort();
    const url = new URL(testDatabaseUri());
    const real = Number(url.port);
    url.port = `${port}`;
    url.searchParams.delete("replicaSet");
    url.searchParams.set("directConnection", "true");
    const { log, lines } = recordedLog();
    const connecting = connectDatabase(url.href, log);
    const waits = (): boolean => lines.some(({ msg }) => msg === "waiting for the database");
    await eventually(waits, "the first refusal");
    const line = createServer((from) => {
      const to = connect(real, "127.0.0.1");
      for (const socket of [from, to]) socket.on("error", () => undefined);
      from.pipe(to).pipe(from);
    });
    await once(line.listen(port, "127.0.0.1"), "listening");
    const db = await connecting;
    onTestFinished(async () => {
      await db.close();
      await new Promise((resolve) => line.close(resolve));
    });
    expect(await isDatabaseReachable(db)).toBe(true);
    const { writeConcern, readConcern } = db.getClient().options;
    expect(writeConcern).toMatchObject({ w: "majority", journal: true });
    expect(readConcern).toMatchObject({ level: "majority" });
  });

  it("keeps its guarantees whatever the address contains (P5)", async () => {
    const db = await connectDatabase(`${testDatabaseUri()}&w=1&journal=false`, silentLog);
    onTestFinished(() => db.close());
    expect(db.getClient().options.writeConcern).toMatchObject({ w: "majority", journal: true });
  });

  it("reports whether the database responds, and recovers automatically", async () => {
    const { uri, line } = await databaseProxy(testDatabaseUri());
    const db = await connectDatabase(uri, silentLog);
    onTestFinished(() => db.close());
    expect(await isDatabaseReachable(db)).toBe(true);
    line.cut();
    expect(await isDatabaseReachable(db)).toBe(false);
    line.mend();
    expect(await eventually(() => isDatabaseReachable(db), "the database to be available")).toBe(
      true,
    );
  });

  it("reports within seconds that the database hangs, and a query fails within the time of a call", async () => {
    const { uri, line } = await databaseProxy(testDatabaseUri());
    const db = await connectDatabase(uri, silentLog, { callTimeoutMs: 3_000 });
    onTestFinished(() => db.close());
    expect(await isDatabaseReachable(db)).toBe(true);
    line.hang();
    const asked = performance.now();
    expect(await isDatabaseReachable(db)).toBe(false);
    const known = performance.now() - asked;
    const fault = await db
      .collection("things")
      .findOne()
      .catch((error: unknown) => error);
    const given = performance.now() - asked - known;
    expect(isDatabaseFault(fault)).toBe(true);
    line.mend();
    expect(await eventually(() => isDatabaseReachable(db), "the database to be available")).toBe(
      true,
    );
    // Without a limit of ours it takes at least 20 seconds, even on an idle machine.
    expect(known).toBeLessThan(2_500);
    expect(given).toBeLessThan(8_000);
  });

  it("gives work outside calls more time than a call", async () => {
    const uri = testDatabaseUri();
    const db = await connectDatabase(uri, silentLog, { callTimeoutMs: 2_000 });
    onTestFinished(async () => {
      await db.dropDatabase();
      await db.close();
    });
    const things = db.collection<{ _id: string }>("things");
    await eventually(() => isDatabaseReachable(db), "a connection");
    await things.insertOne({ _id: "a" });
    expect(await things.findOne({ $where: "sleep(4000) || true" })).toEqual({ _id: "a" });
  });

  it("fails immediately if the database rejects the credentials", async () => {
    const wrong = testDatabaseUri().replace(/:[^:@]*@/, ":wrong@");
    await expect(connectDatabase(wrong, silentLog)).rejects.toThrow(/[Aa]uthentication failed/);
  });
});

describe("an error of the database", () => {
  const schema = new Schema({ _id: String, name: { type: String, required: true }, at: Date });
  schema.index({ name: 1 }, { name: "by-name", unique: true });

  it("contains the name of the violated index", async () => {
    const db = await testDatabase();
    const things = db.model("Thing", schema, "things");
    await buildIndexes(things);
    await things.create({ _id: "a", name: "one" });
    const refused = (thing: object) =>
      things.create(thing as never).then(
        () => "nothing",
        (error: unknown) => [duplicateKeyIndex(error), isDatabaseFault(error)],
      );
    expect(await refused({ _id: "b", name: "one" })).toEqual(["by-name", false]);
    expect(await refused({ _id: "a", name: "two" })).toEqual(["_id_", false]);
    expect(await refused({ _id: "c" })).toEqual([undefined, false]);
  });

  it("is distinguished from a missing response", async () => {
    const { uri, line } = await databaseProxy(testDatabaseUri());
    const db = await connectDatabase(uri, silentLog);
    const things = db.model("Thing", schema, "things");
    await buildIndexes(things);
    line.cut();
    const fault = await things.findOne().catch((error: unknown) => error);
    expect(isDatabaseFault(fault)).toBe(true);
    await db.close();
    const closed = await things.findOne().catch((error: unknown) => error);
    expect(isDatabaseFault(closed)).toBe(true);
  });

  it("is a fault for every reason except the request itself", async () => {
    const db = await testDatabase();
    const things = db.model("Thing", schema, "things");
    await things.create({ _id: "a", name: "one" });
    const slow = things.findOne({ $where: "sleep(1000) || true" }).maxTimeMS(1);
    const tooSlow = await slow.catch((error: unknown) => error);
    expect(tooSlow).toMatchObject({ codeName: "MaxTimeMSExpired" });
    expect(isDatabaseFault(tooSlow)).toBe(true);
  });

  it.each([
    [13, "Unauthorized", true],
    [18, "AuthenticationFailed", true],
    [50, "MaxTimeMSExpired", true],
    [64, "WriteConcernFailed", true],
    [91, "ShutdownInProgress", true],
    [262, "ExceededTimeLimit", true],
    [10_107, "NotWritablePrimary", true],
    [14_031, "OutOfDiskSpace", true],
    [99_999, "an unknown code", true],
    [2, "BadValue", false],
    [121, "DocumentValidationFailure", false],
    [10_334, "BSONObjectTooLarge", false],
    [11_000, "DuplicateKey", false],
  ])("is a fault with code %i, %s: %s", (code, codeName, expected) => {
    const error = new mongo.MongoServerError({ code, codeName, message: codeName });
    expect(isDatabaseFault(error)).toBe(expected);
  });

  it("is no fault if a document violates its schema", async () => {
    const db = await testDatabase();
    const things = db.model("Thing", schema, "things");
    const refused = await things.create({ _id: "a" }).catch((error: unknown) => error);
    const cast = await things.findOne({ at: "never" }).catch((error: unknown) => error);
    expect([refused, cast].map((error) => (error as Error).name)).toEqual([
      "ValidationError",
      "CastError",
    ]);
    expect([refused, cast].map(isDatabaseFault)).toEqual([false, false]);
  });

  it.each([undefined, null, "no", new Error("no"), { code: 11_000 }])(
    "is no fault: %o",
    (error) => {
      expect(isDatabaseFault(error)).toBe(false);
      expect(duplicateKeyIndex(error)).toBeUndefined();
    },
  );
});
