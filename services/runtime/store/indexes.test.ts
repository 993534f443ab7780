import { Schema, type Connection } from "mongoose";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildIndexes } from "./indexes.ts";
import { isDatabaseReachable, connectDatabase } from "./database.ts";
import { eventually } from "../testing/eventually.ts";
import { silentLog } from "../testing/log.ts";
import { testDatabase, testDatabaseUri } from "../testing/database.ts";

/** With a call limit of one second, other work has four seconds. */
const LONGEST_MS = 5_000;

const schema = new Schema({ _id: Number, a: String, b: String });
schema.index({ a: 1, b: 1 }, { name: "both", unique: true });
schema.index({ b: 1 }, { name: "one" });

/** Enough documents for other writes to happen while their indexes are built. */
async function large() {
  const db = await testDatabase();
  const things = Array.from({ length: 60_000 }, (_, i) => ({
    _id: i,
    a: `${(i * 7_919) % 60_000} and more`,
    b: String(i % 1_000),
  }));
  await db.collection<{ _id: number }>("things").insertMany(things);
  return db;
}

/**
 * Delays every index build until it is released: a build does not start alongside an open transaction with
 * writes.
 */
async function holdUp(db: Connection): Promise<() => Promise<void>> {
  const session = await db.startSession();
  session.startTransaction();
  await db.collection("things").insertOne({ a: "held", b: "held" }, { session });
  return async () => {
    await session.commitTransaction();
    await session.endSession();
  };
}

describe("the indexes of a new version", () => {
  it("are built without a time limit, by several instances at once, while the previous version writes", async () => {
    const old = await large();
    const limits = { callTimeoutMs: 1_000 };
    const news = await Promise.all(
      [1, 2].map(() => connectDatabase(testDatabaseUri(old.name), silentLog, limits)),
    );
    onTestFinished(async () => void (await Promise.all(news.map((db) => db.close()))));
    for (const db of news) await eventually(() => isDatabaseReachable(db), "a connection");
    const release = await holdUp(old);
    const begun = performance.now();
    const built = Promise.all(news.map((db) => buildIndexes(db.model("Thing", schema, "things"))));
    const outcome = built.catch((error: unknown) => error);
    await eventually(
      () => performance.now() - begun > LONGEST_MS,
      "more time than the limit of other work",
    );
    let building = true;
    const writing = (async () => {
      let written = 0;
      for (; building; written += 1)
        await old.collection("things").insertOne({ a: `new ${written}`, b: "new" });
      return written;
    })();
    await release();
    expect(await outcome).not.toBeInstanceOf(Error);
    building = false;
    expect(await writing).toBeGreaterThan(0);
    const names = (await old.collection("things").indexes()).map(({ name }) => name);
    expect(names.toSorted()).toEqual(["_id_", "both", "one"]);
  });

  it("are rejected with the database's message if the data violate them", async () => {
    const db = await testDatabase();
    await db.collection("things").insertMany([
      { a: "same", b: "same" },
      { a: "same", b: "same" },
    ]);
    await expect(buildIndexes(db.model("Thing", schema, "things"))).rejects.toThrow("E11000");
  });
});
