import { fromBinary } from "@bufbuild/protobuf";
import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Schema } from "mongoose";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { aggregate, onSaved, record, touch, update, type AggregateFields } from "./aggregate.ts";
import { duplicateKeyIndex } from "./database.ts";
import { newId } from "./ids.ts";
import { buildIndexes } from "./indexes.ts";
import {
  insertAggregate,
  insertMissing,
  newAggregate,
  updateAggregate,
} from "./plain-aggregate.ts";
import { commandsOf, testDatabase } from "../testing/database.ts";

interface Fields extends AggregateFields {
  name: string;
  count: number;
  note?: string | undefined;
  date?: Date | undefined;
  words: string[];
  secret?: string | undefined;
}
const schema = new Schema<Fields>({
  name: String,
  count: { type: Number, default: 0 },
  note: String,
  date: Date,
  words: [String],
  secret: { type: String, select: false },
});
aggregate(schema);
schema.index({ name: 1 }, { name: "name", unique: true });

const db = await testDatabase();
const things = db.model("Thing", schema, "things");
await buildIndexes(things);
const saved: [id: string, events: number][] = [];
onSaved(things, (id, events) => saved.push([id, events.length]));

const say = (thing: Fields, word: string): void =>
  record(thing, StringValueSchema, () => ({ value: `${word} ${thing.version}` }));

async function make(fields: Partial<Fields> = {}): Promise<Fields> {
  const thing = newAggregate(things, { name: newId(), ...fields });
  say(thing, "made");
  await insertAggregate(things, thing);
  return thing;
}

const stored = (id: string) => things.findById(id).select("+secret").orFail();
const wordsOf = (outbox: { payload: Buffer }[]): string[] =>
  outbox.map(({ payload }) => fromBinary(StringValueSchema, new Uint8Array(payload)).value);

describe("a plain aggregate", () => {
  it("is stored with its events and the defaults of its schema in a single write", async () => {
    let id = "";
    const commands = await commandsOf(db, async () => {
      ({ _id: id } = await make({ note: undefined }));
    });
    expect(commands).toEqual(["insert things"]);
    const thing = await stored(id);
    expect(thing).toMatchObject({ version: 1, count: 0, words: [] });
    expect(thing.createTime).toBeInstanceOf(Date);
    expect(thing.toObject()).not.toHaveProperty("note");
    expect(wordsOf(thing.outbox)).toEqual(["made 1"]);
    expect(saved.at(-1)).toEqual([id, 1]);
  });

  it("is stored as a mongoose document of the same fields is", async () => {
    const fields = { count: 2.5, date: new Date(0), words: ["a"], secret: "s" };
    const plain = await make(fields);
    const hydrated = new things({ name: newId(), ...fields });
    say(hydrated, "made");
    await hydrated.save();
    const typesOf = async (_id: string) => {
      const found = await things.collection.findOne({ _id: _id as never });
      const types = Object.entries(found ?? {}).map(([k, v]) => [k, v.constructor.name]);
      return Object.fromEntries(types) as Record<string, string>;
    };
    expect(await typesOf(plain._id)).toEqual(await typesOf(hydrated._id));
  });

  it("is refused by a unique index, with its events", async () => {
    const { name } = await make();
    const before = saved.length;
    const refused = await make({ name }).catch((error: unknown) => duplicateKeyIndex(error));
    expect([refused, saved.length]).toEqual(["name", before]);
  });
});

describe("insertMissing", () => {
  it("inserts the aggregates whose IDs are new in one write, and returns the others", async () => {
    const draft = (count: number) => newAggregate(things, { name: newId(), count });
    const [first, second, third] = [draft(1), draft(2), draft(3)];
    expect(await insertMissing(things, [second])).toEqual([]);
    const again = { ...second, count: 9 };
    const commands = await commandsOf(db, async () => {
      expect(await insertMissing(things, [first, again, third])).toEqual([again]);
    });
    expect(commands).toEqual(["insert things"]);
    const counts = [first, second, third].map(async ({ _id }) => (await stored(_id)).count);
    expect(await Promise.all(counts)).toEqual([1, 2, 3]);
  });
});

describe("many plain aggregates that are inserted at the same time", () => {
  it("share a write, and each of them is stored with its event", async () => {
    const made: Fields[] = [];
    const before = saved.length;
    const commands = await commandsOf(db, async () => {
      made.push(
        ...(await Promise.all(Array.from({ length: 20 }, () => make({ note: undefined })))),
      );
    });
    expect(commands).toEqual(["insert things"]);
    expect(saved.slice(before).toSorted()).toEqual(made.map(({ _id }) => [_id, 1]).toSorted());
    for (const { _id } of made) {
      const thing = await stored(_id);
      expect(wordsOf(thing.outbox)).toEqual(["made 1"]);
      expect(thing.toObject()).not.toHaveProperty("note");
    }
  });

  it("are refused one by one by a unique index", async () => {
    const { name } = await make();
    const before = saved.length;
    const names = [newId(), name, newId(), name];
    const results = await Promise.allSettled(names.map((each) => make({ name: each })));
    const refusals = results.map((result) =>
      result.status === "rejected" ? duplicateKeyIndex(result.reason) : "stored",
    );
    expect(refusals).toEqual(["stored", "name", "stored", "name"]);
    expect(saved.length - before).toBe(2);
    expect(await things.countDocuments({ name: { $in: names } })).toBe(3);
  });

  it("all fail if the write does", async () => {
    const insert = vi.spyOn(things.collection, "insertMany");
    insert.mockRejectedValueOnce(new Error("no database"));
    onTestFinished(() => insert.mockRestore());
    const results = await Promise.allSettled([make(), make()]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await make();
  });
});

describe("updateAggregate", () => {
  it("writes what differs, also inside an array, and removes what became undefined", async () => {
    const { _id } = await make({ note: "old", words: ["a"], date: new Date(0) });
    await updateAggregate(things, _id, (thing) => {
      thing.words.push("b");
      thing.note = undefined;
      thing.count = 7;
      say(thing, "changed");
    });
    const thing = await stored(_id);
    expect(thing).toMatchObject({ count: 7, words: ["a", "b"], date: new Date(0), version: 2 });
    expect(thing.toObject()).not.toHaveProperty("note");
    expect(wordsOf(thing.outbox)).toEqual(["made 1", "changed 2"]);
    expect(saved.at(-1)).toEqual([_id, 1]);
  });

  it("keeps a field that is not loaded, and changes it when it is set", async () => {
    const { _id } = await make({ secret: "s" });
    await updateAggregate(things, _id, touch);
    expect((await stored(_id)).secret).toBe("s");
    await updateAggregate(things, _id, (thing) => {
      thing.secret = "";
      touch(thing);
    });
    expect((await stored(_id)).secret).toBe("");
    const read: (string | undefined)[] = [];
    for (const select of ["", "+secret"])
      await updateAggregate(things, _id, ({ secret }) => (read.push(secret), false), select);
    expect(read).toEqual([undefined, ""]);
  });

  it("does not restore events that the relay has removed meanwhile", async () => {
    const { _id } = await make();
    await updateAggregate(things, _id, (thing) => say(thing, "first"));
    const { outbox } = await stored(_id);
    await updateAggregate(things, _id, (thing) => {
      say(thing, "second");
    });
    await things.collection.updateOne({ _id: _id as never }, {
      $pull: { outbox: { _id: { $in: outbox.map((event) => event._id) } } },
    } as never);
    await updateAggregate(things, _id, (thing) => say(thing, "third"));
    expect(wordsOf((await stored(_id)).outbox)).toEqual(["second 3", "third 4"]);
  });

  it("loses none of many concurrent changes, also of mongoose documents", async () => {
    const { _id } = await make();
    const count = (thing: Fields): void => {
      thing.count += 1;
      say(thing, "counted");
    };
    await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        i % 2 === 0 ? updateAggregate(things, _id, count) : update(things, _id, count),
      ),
    );
    const thing = await stored(_id);
    expect(thing).toMatchObject({ count: 8, version: 9 });
    expect(new Set(wordsOf(thing.outbox)).size).toBe(9);
  });

  it("fails with a reason if other changes are always saved first", async () => {
    const { _id } = await make();
    let rounds = 0;
    const updateOne = things.collection.updateOne.bind(things.collection);
    // Another change is saved before each write.
    const write = vi.spyOn(things.collection, "updateOne").mockImplementation(async (...args) => {
      await updateOne({ _id: _id as never }, { $inc: { version: 1 } });
      return updateOne(...args);
    });
    onTestFinished(() => write.mockRestore());
    const overtaken = updateAggregate(things, _id, (thing) => {
      rounds += 1;
      touch(thing);
    });
    await expect(overtaken).rejects.toMatchObject({ reason: "CHANGED_MEANWHILE" });
    expect(rounds).toBe(10);
  });

  it("writes nothing if `change` returns false or throws", async () => {
    const { _id } = await make();
    const commands = await commandsOf(db, async () => {
      await updateAggregate(things, _id, (thing) => {
        thing.count = 9;
        return false;
      });
      const refused = updateAggregate(things, _id, () => {
        throw new Error("refused");
      });
      await expect(refused).rejects.toThrow("refused");
    });
    expect(commands).toEqual(["find things", "find things"]);
  });

  it("returns undefined for a document that does not exist", async () => {
    expect(await updateAggregate(things, newId(), touch)).toBeUndefined();
  });

  it("keeps at most a hundred waiting events", async () => {
    const { _id } = await make();
    const flood = updateAggregate(things, _id, (thing) => {
      for (let i = 0; i < 100; i += 1) record(thing, Int64ValueSchema, () => ({ value: 1n }));
    });
    await expect(flood).rejects.toMatchObject({ reason: "OUTBOX_FULL" });
    expect((await stored(_id)).outbox).toHaveLength(1);
  });

  it("completes a document that was stored before a field with a default existed", async () => {
    const { _id } = await make();
    await things.collection.updateOne({ _id: _id as never }, { $unset: { count: 1 } });
    await updateAggregate(things, _id, touch);
    expect(await things.collection.findOne({ _id: _id as never })).toMatchObject({ count: 0 });
  });
});
