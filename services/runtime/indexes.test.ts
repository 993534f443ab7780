import { Schema } from "mongoose";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildIndexes } from "./indexes.ts";
import { connectDatabase } from "./mongo.ts";
import { silent, testDatabase, testDatabaseUri } from "./testing.ts";

const schema = new Schema({ _id: Number, a: String, b: String });
schema.index({ a: 1, b: 1 }, { name: "both", unique: true });
schema.index({ b: 1 }, { name: "one" });

/** A collection that is large enough for its indexes to take longer than a call may. */
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

describe("the indexes of a new version", () => {
  it("are built in the time that it takes, by several instances at once, while the old one writes", async () => {
    const old = await large();
    // The shortest call: every wait for the database is below a twentieth of a second.
    const limits = { callTimeoutMs: 50 };
    const news = await Promise.all(
      [1, 2].map(() => connectDatabase(testDatabaseUri(old.name), silent, limits)),
    );
    onTestFinished(async () => void (await Promise.all(news.map((db) => db.close()))));
    let building = true;
    const writing = (async () => {
      let written = 0;
      for (; building; written += 1)
        await old.collection("things").insertOne({ a: `new ${written}`, b: "new" });
      return written;
    })();
    const begun = performance.now();
    await Promise.all(news.map((db) => buildIndexes(db.model("Thing", schema, "things"))));
    building = false;
    expect(performance.now() - begun, "longer than a call").toBeGreaterThan(50);
    expect(await writing).toBeGreaterThan(0);
    const names = (await old.collection("things").indexes()).map(({ name }) => name);
    expect(names.toSorted()).toEqual(["_id_", "both", "one"]);
  });

  it("are refused, with the database's words, where the data breaks their rule", async () => {
    const db = await testDatabase();
    await db.collection("things").insertMany([
      { a: "same", b: "same" },
      { a: "same", b: "same" },
    ]);
    await expect(buildIndexes(db.model("Thing", schema, "things"))).rejects.toThrow("E11000");
  });
});
