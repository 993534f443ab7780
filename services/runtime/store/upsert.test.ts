import { expect, it } from "vitest";
import type { mongo } from "mongoose";
import { newId } from "./ids.ts";
import { upsertAllIfOlder } from "./upsert.ts";
import { testDatabase } from "../testing/database.ts";

interface Replica {
  _id: string;
  version: number;
  name: string;
}

const db = await testDatabase();
const replicas = db.collection<Replica>("replicas") as unknown as mongo.Collection<Replica>;

const toUpdate = ({ _id, ...fields }: Replica) => ({
  filter: { _id, version: { $lt: fields.version } },
  update: { $set: fields },
});
const store = (...all: Replica[]) => upsertAllIfOlder(replicas, all.map(toUpdate));
const nameOf = async (_id: string) => (await replicas.findOne({ _id }))?.name;

it("inserts new replicas, changes older ones and keeps newer ones, in one call", async () => {
  const [fresh, older, newer] = [newId(), newId(), newId()] as const;
  await store({ _id: older, version: 1, name: "one" }, { _id: newer, version: 3, name: "three" });
  const all = [fresh, older, newer].map((_id) => ({ _id, version: 2, name: "two" }));
  await store(...all);
  expect(await Promise.all([fresh, older, newer].map(nameOf))).toEqual(["two", "two", "three"]);
});

it("keeps the newest version of a replica that is there several times", async () => {
  for (const versions of [
    [1, 2, 3],
    [3, 2, 1],
    [2, 3, 1],
  ]) {
    const _id = newId();
    await store(...versions.map((version) => ({ _id, version, name: `${version}` })));
    expect(await nameOf(_id)).toBe("3");
  }
});

it("keeps the newest version when many calls run at the same time", async () => {
  const _id = newId();
  const versions = Array.from({ length: 20 }, (_, i) => ((i * 7) % 20) + 1);
  await Promise.all(versions.map((version) => store({ _id, version, name: `${version}` })));
  expect(await nameOf(_id)).toBe("20");
});

it("fails if a replica is refused for another reason than a newer one", async () => {
  const isRefused = { filter: { _id: newId() }, update: { $set: { _id: "another" } } };
  await expect(upsertAllIfOlder(replicas, [isRefused])).rejects.toThrow("_id");
});
