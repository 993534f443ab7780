import { Schema } from "mongoose";
import { expect, it } from "vitest";
import { commandsOf, testDatabase } from "../testing/database.ts";
import { readById } from "./batched-reads.ts";

interface Thing {
  _id: string;
  name: string;
  secret?: string;
  outbox?: unknown[];
}

const db = await testDatabase();
const things = db.model(
  "Thing",
  new Schema<Thing>({
    _id: { type: String, required: true },
    name: String,
    secret: { type: String, select: false },
    outbox: { type: [Schema.Types.Mixed], default: undefined },
  }),
  "things",
);
const ids = Array.from({ length: 20 }, (_, n) => `thing-${n}`);
await things.create(
  ids.map((_id) => ({ _id, name: _id.toUpperCase(), secret: "s", outbox: [{ _id: "1" }] })),
);

it("returns a document without its outbox and its hidden fields", async () => {
  expect(await readById(things, "thing-1")).toEqual({ _id: "thing-1", name: "THING-1", __v: 0 });
});

it("returns nothing for an id that is not stored", async () => {
  expect(await readById(things, "nothing")).toBeUndefined();
});

it("reads for many simultaneous callers twice at most, and gives each their own document", async () => {
  let found: (Thing | undefined)[] = [];
  const commands = await commandsOf(db, async () => {
    found = await Promise.all([...ids, ...ids].map((id) => readById(things, id)));
  });
  expect(found.map((thing) => thing?._id)).toEqual([...ids, ...ids]);
  expect(commands.length).toBeLessThanOrEqual(2);
});

it("sees what was stored before the call, also while another read is in progress", async () => {
  const earlier = readById(things, "thing-2");
  await things.updateOne({ _id: "thing-2" }, { name: "newer" });
  expect((await readById(things, "thing-2"))?.name).toBe("newer");
  await earlier;
});
