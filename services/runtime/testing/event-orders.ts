import fc from "fast-check";
import type { Collection } from "mongoose";
import { expect } from "vitest";

// For what must be true in whatever order, and however often, a consumer hears its events.

/** In which order so many events are heard: every one of them, and some twice or more. */
export const anyDeliveryOrder = (count: number): fc.Arbitrary<number[]> => {
  const each = Array.from({ length: count }, (_, i) => i);
  return fc.array(fc.nat(count - 1), { maxLength: count * 2 }).chain((again) => {
    const all = [...each, ...again];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });
};

/** Hears events one after the other, or all of them at once. */
export async function deliverAll<E>(
  events: readonly E[],
  hear: (event: E) => Promise<unknown>,
  atOnce: boolean,
): Promise<void> {
  if (atOnce) await Promise.all(events.map(hear));
  else for (const event of events) await hear(event);
}

/**
 * Expects that the property does not hold, because an expectation in it fails: what it would be
 * worth, were the guard that it is about not there.
 */
export async function expectCounterexample<T>(property: fc.IAsyncProperty<T>): Promise<void> {
  const { failed, errorInstance } = await fc.check(property, { endOnFailure: true });
  expect(failed, "fast-check finds a counterexample").toBe(true);
  expect((errorInstance as Error).name).toBe("AssertionError");
}

const SEEDS = 20;
const WIDTH = 16;

interface Run<E> {
  /** What the consumer writes. */
  collections: readonly Collection[];
  /** In the order in which they happened. */
  events: readonly E[];
  hear: (event: E) => Promise<unknown>;
  /** Fields that may differ: they count changes, and do not say what is true. */
  except: readonly string[];
}

/**
 * Expects the same end (P10), to the byte, of the events in their order and of all of them thrice in
 * twenty other orders, several at once. Answers how many were heard.
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
