import { Schema } from "mongoose";
import { describe, expect, it } from "vitest";
import {
  requireTimeLeft,
  remainingMs,
  runWithDeadline,
  runWithoutDeadline,
} from "./call-deadline.ts";
import { isDatabaseFault } from "./store/database.ts";
import { eventually } from "./testing/eventually.ts";
import { testDatabase } from "./testing/database.ts";

const db = await testDatabase();
const things = db.model("Thing", new Schema({ _id: String, name: String }), "things");
await things.create({ _id: "a", name: "one" });

const patient = new AbortController().signal;
const past = (ms: number): Promise<boolean> => {
  const begun = performance.now();
  return eventually(() => performance.now() - begun > ms, "the time to pass");
};
const errorOf = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

describe("the work of a call", () => {
  it("is ended by the database at the deadline", async () => {
    const begun = performance.now();
    const slow = () => things.findOne({ $where: "sleep(20000) || true" }).exec();
    const error = await errorOf(runWithDeadline(300, patient, slow));
    expect(error).toMatchObject({ codeName: "MaxTimeMSExpired" });
    expect(isDatabaseFault(error)).toBe(true);
    expect(performance.now() - begun).toBeLessThan(15_000);
  });

  it("gives each query less than the remaining time, so the call can still be answered", async () => {
    const told = (ms: number, passing: number): Promise<number> =>
      runWithDeadline(ms, patient, async () => {
        await past(passing);
        const query = things.findOne();
        await query.exec();
        return Number(query.getOptions().maxTimeMS);
      });
    expect(await told(60_000, 0)).toBe(54_000);
    expect(await told(60_000, 7_000)).toBeLessThanOrEqual(53_000);
  });

  it.each([
    ["find", () => things.findOne().exec()],
    ["aggregate", () => things.aggregate([{ $match: { _id: "a" } }]).exec()],
    ["count", () => things.countDocuments().exec()],
    ["update", () => things.updateOne({ _id: "a" }, { name: "late" }).exec()],
    ["save", () => things.create({ _id: "late" })],
  ])("does not %s anything after the deadline", async (_, ask) => {
    const late = runWithDeadline(1, patient, async () => {
      await past(5);
      return ask();
    });
    expect(await errorOf(late)).toMatchObject({ reason: "TOO_SLOW" });
    expect(await things.countDocuments({ $or: [{ _id: "late" }, { name: "late" }] })).toBe(0);
  });

  it("starts no query after the caller has disconnected", async () => {
    const leaving = new AbortController();
    const left = runWithDeadline(60_000, leaving.signal, async () => {
      leaving.abort();
      return things.findOne();
    });
    expect(await errorOf(left)).toMatchObject({ reason: "TOO_SLOW" });
  });

  it("is completed after the deadline if it must be stored", async () => {
    const stored = runWithDeadline(1, patient, () =>
      runWithoutDeadline(async () => {
        await past(5);
        return things.create({ _id: "stored" });
      }),
    );
    expect(await stored).toMatchObject({ _id: "stored" });
  });

  it("sets no deadline for work that continues after it", async () => {
    let after: Promise<unknown> = Promise.resolve();
    await runWithDeadline(20, patient, async () => {
      after = past(50).then(() => things.findOne());
    });
    expect(await after).not.toBeNull();
  });

  it("has a deadline only while it runs", async () => {
    expect(remainingMs()).toBeUndefined();
    requireTimeLeft();
    const left = await runWithDeadline(1_000, patient, async () => remainingMs());
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(1_000);
    expect(remainingMs()).toBeUndefined();
  });
});
