import { Code } from "@connectrpc/connect";
import { fromBinary } from "@bufbuild/protobuf";
import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import mongoose, { Schema } from "mongoose";
import { describe, expect, it } from "vitest";
import { aggregate, record, touch, update, type AggregateFields } from "./aggregate.ts";
import { DomainError } from "../errors.ts";
import { newId } from "./ids.ts";
import { buildIndexes } from "./indexes.ts";
import { duplicateKeyIndex } from "./database.ts";
import { commandsOf, testDatabase } from "../testing/database.ts";

interface Fields extends AggregateFields {
  name: string;
  count: number;
}
const schema = new Schema<Fields>({ name: String, count: { type: Number, default: 0 } });
aggregate(schema);
schema.index({ name: 1 }, { name: "name", unique: true });

const db = await testDatabase();
const things = db.model("Thing", schema, "things");
await buildIndexes(things);

/** A new document, saved with the event of its creation. */
async function make(name: string = newId()) {
  const thing = new things({ name });
  record(thing, StringValueSchema, () => ({ value: `made ${thing.version}` }));
  return thing.save();
}

const words = (outbox: { payload: Buffer }[]): string[] =>
  outbox.map(({ payload }) => fromBinary(StringValueSchema, new Uint8Array(payload)).value);

/** The number of keys in an index, as reported by the database. */
async function entries(index: string): Promise<number> {
  const { keysPerIndex } = (await db.db?.command({ validate: "things" })) as {
    keysPerIndex: Record<string, number>;
  };
  return keysPerIndex[index] ?? Number.NaN;
}

describe("an aggregate", () => {
  it("is stored together with the events of its change in a single write", async () => {
    const { _id } = await make();
    const stored = await things.findById(_id).orFail();
    expect(stored.version).toBe(1);
    expect(stored.outbox.map(({ type }) => type)).toEqual(["google.protobuf.StringValue"]);
    expect(words(stored.outbox)).toEqual(["made 1"]);
  });

  it("increments its version with each change, and its events contain the new version", async () => {
    const { _id } = await make();
    for (const word of ["b", "c"]) {
      await update(things, _id, (thing) => {
        record(thing, StringValueSchema, () => ({ value: `${word} ${thing.version}` }));
      });
    }
    await update(things, _id, touch);
    const stored = await things.findById(_id).orFail();
    expect(stored.version).toBe(4);
    expect(words(stored.outbox)).toEqual(["made 1", "b 2", "c 3"]);
    expect(stored.updateTime.getTime()).toBeGreaterThanOrEqual(stored.createTime.getTime());
  });

  it("stores neither state nor event if the write is rejected", async () => {
    const { name } = await make();
    const second = await make(name).catch((error: unknown) => duplicateKeyIndex(error));
    expect(second).toBe("name");
    expect(await things.countDocuments({ name })).toBe(1);
  });

  it("rejects a write that is based on an outdated version", async () => {
    const { _id } = await make();
    const [early, late] = await Promise.all([1, 2].map(() => things.findById(_id).orFail()));
    for (const thing of [early, late]) if (thing) touch(thing);
    await early?.set({ count: 1 }).save();
    await expect(late?.set({ count: 2 }).save()).rejects.toThrow(
      mongoose.Error.DocumentNotFoundError,
    );
    expect(await things.findById(_id)).toMatchObject({ count: 1, version: 2 });
  });

  it("can be saved repeatedly by the same caller", async () => {
    const thing = await make();
    for (const count of [1, 2, 3]) {
      touch(thing);
      await thing.set({ count }).save();
    }
    expect(await things.findById(thing._id)).toMatchObject({ count: 3, version: 4 });
  });

  it("does not restore events that the relay has removed meanwhile", async () => {
    const thing = await make();
    const [published] = thing.outbox;
    await things.collection.updateOne({ _id: thing._id as never }, {
      $pull: { outbox: { _id: published?._id } },
    } as never);
    record(thing, StringValueSchema, () => ({ value: "later" }));
    await thing.save();
    expect(words((await things.findById(thing._id).orFail()).outbox)).toEqual(["later"]);
  });

  it("keeps at most a hundred waiting events", async () => {
    const thing = await make();
    const more = (): void => record(thing, Int64ValueSchema, () => ({ value: 1n }));
    for (let i = 1; i < 100; i += 1) more();
    await thing.save();
    const full = await things.findById(thing._id).orFail();
    const write = (): void => record(full, Int64ValueSchema, () => ({ value: 1n }));
    expect(write).toThrow(DomainError);
    expect(write).toThrow("too many changes at once");
    expect(full.version).toBe(100);
  });

  it("is not in the index of the sweep while it has no events to publish", async () => {
    await things.deleteMany({});
    const made = await Promise.all([make(), make(), make()]);
    expect(await entries("outbox._id_1")).toBe(3);
    for (const { _id } of made.slice(1)) {
      await things.collection.updateOne({ _id: _id as never }, { $set: { outbox: [] } } as never);
    }
    expect(await entries("outbox._id_1")).toBe(1);
  });
});

describe("update", () => {
  it("loses none of many concurrent changes", async () => {
    const { _id } = await make();
    await Promise.all(
      Array.from({ length: 6 }, () =>
        update(things, _id, (thing) => {
          thing.count += 1;
          touch(thing);
        }),
      ),
    );
    expect(await things.findById(_id)).toMatchObject({ count: 6, version: 7 });
  });

  it("starts with a document that is already loaded, and reads it again only if it is outdated", async () => {
    const { _id } = await make();
    const loaded = await things.findById(_id).orFail();
    const count = (thing: Fields): void => {
      thing.count += 1;
      touch(thing);
    };
    expect(await commandsOf(db, () => update(things, loaded, count))).toEqual(["update things"]);
    await update(things, _id, count);
    expect(await update(things, loaded, count)).toMatchObject({ count: 3, version: 4 });
    expect(await things.findById(_id)).toMatchObject({ count: 3, version: 4 });
  });

  it("fails with a reason if other changes are always saved first", async () => {
    const { _id } = await make();
    let rounds = 0;
    const overtaken = update(things, _id, (thing) => {
      rounds += 1;
      touch(thing);
      thing.$locals["version"] = -1; // Simulates a write since the document was loaded.
    });
    await expect(overtaken).rejects.toMatchObject({ reason: "CHANGED_MEANWHILE" });
    expect(rounds).toBe(10);
    expect(await things.findById(_id)).toMatchObject({ version: 1 });
  });

  it("writes nothing if `change` returns false", async () => {
    const { _id } = await make();
    const answered = await update(things, _id, (thing) => {
      thing.count = 9;
      return false;
    });
    expect(answered?._id).toBe(_id);
    expect(await things.findById(_id)).toMatchObject({ count: 0, version: 1 });
  });

  it("returns undefined for a document that does not exist", async () => {
    expect(await update(things, newId(), touch)).toBeUndefined();
  });

  it("rethrows the error of `change`, and writes nothing", async () => {
    const { _id } = await make();
    const refused = update(things, _id, () => {
      throw new DomainError("TICKET_SOLD", Code.FailedPrecondition, "sold");
    });
    await expect(refused).rejects.toMatchObject({ reason: "TICKET_SOLD" });
    expect(await things.findById(_id)).toMatchObject({ version: 1 });
  });
});
