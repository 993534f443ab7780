import fc from "fast-check";
import type { Collection } from "mongoose";
import { expect } from "vitest";
import { cases } from "./thoroughness.ts";

// For properties that hold in whatever order, and however often, a consumer receives its events.

/** An order of deliveries: every event occurs, some of them several times. */
export const anyDeliveryOrder = (count: number): fc.Arbitrary<number[]> => {
  const each = Array.from({ length: count }, (_, i) => i);
  return fc.array(fc.nat(count - 1), { maxLength: count * 2 }).chain((again) => {
    const all = [...each, ...again];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });
};

/** Delivers events one after another, or all at once. */
export async function deliverAll<E>(
  events: readonly E[],
  hear: (event: E) => Promise<unknown>,
  atOnce: boolean,
): Promise<void> {
  if (atOnce) await Promise.all(events.map(hear));
  else for (const event of events) await hear(event);
}

/**
 * Expects that the property fails because an expectation in it fails. It shows that the property detects a
 * missing guard.
 */
export async function expectCounterexample<T>(property: fc.IAsyncProperty<T>): Promise<void> {
  const { failed, errorInstance } = await fc.check(property, { endOnFailure: true });
  expect(failed, "fast-check finds a counterexample").toBe(true);
  expect((errorInstance as Error).name).toBe("AssertionError");
}

const SEEDS = cases(20);
const WIDTH = 16;

interface Run<E> {
  /** The collections that the consumer writes. */
  collections: readonly Collection[];
  /** The events in the order in which they happened. */
  events: readonly E[];
  hear: (event: E) => Promise<unknown>;
  /** Fields that may differ: they count changes and are not part of the state. */
  except: readonly string[];
}

/**
 * Expects the same final state (P10), byte for byte, from the events in their order and from other orders,
 * in which each event occurs three times, several at once. Returns the number of deliveries.
 */
export async function expectSameFinalState<E>({
  collections,
  events,
  hear,
  except,
}: Run<E>): Promise<number> {
  const projection = Object.fromEntries(except.map((field) => [field, 0]));
  const all = (options = {}) =>
    Promise.all(collections.map((each) => each.find({}, options).sort({ _id: 1 }).toArray()));
  const read = () => all({ projection });
  const before = await all();
  const restore = async (collection: Collection, i: number) => {
    await collection.deleteMany({});
    const docs = before[i] ?? [];
    if (docs.length > 0) await collection.insertMany(docs);
  };
  await deliverAll(events, hear, false);
  const inOrder = await read();
  let heard = events.length;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    await Promise.all(collections.map(restore));
    const thrice = [...events, ...events, ...events];
    const shuffled = fc.shuffledSubarray(thrice, { minLength: thrice.length });
    const [story = []] = fc.sample(shuffled, { seed, numRuns: 1 });
    const each = story.values();
    const consumer = async () => {
      for (const event of each) await hear(event);
    };
    await Promise.all(Array.from({ length: WIDTH }, consumer));
    heard += story.length;
    expect(await read(), `seed ${seed}`).toEqual(inOrder);
  }
  return heard;
}
