import { allHere, postedIn } from "./ledger-movements.ts";
import type { Movements, MovementSource, ReconciliationDeps, Sides, Span } from "./movements.ts";
import { addMoved, allThere } from "./stripe-movements.ts";

/** A source whose movements differ; amounts in minor units, positive where Stripe holds them. */
export interface Difference extends Pick<MovementSource, "kind" | "id"> {
  currency: string;
  here: number[];
  there: number[];
}

const inOrder = (side: Movements | undefined): number[] =>
  (side?.amounts ?? []).toSorted((one, other) => one - other);

const isEqual = (one: Movements | undefined, other: Movements | undefined): boolean =>
  one?.currency === other?.currency && `${inOrder(one)}` === `${inOrder(other)}`;

/** The differences between Stripe's balance and our ledger, of all that either recorded in the span. */
export async function reconcile(deps: ReconciliationDeps, span: Span): Promise<Difference[]> {
  const seconds = (time: Date): number => Math.floor(time.getTime() / 1_000);
  const created = { gte: seconds(span.from), lt: seconds(span.to) };
  const theirs: Sides = new Map();
  await addMoved(theirs, deps.stripe, { created });
  const ours = await postedIn(deps, span);
  const differences: Difference[] = [];
  for (const key of new Set([...theirs.keys(), ...ours.keys()])) {
    const known = theirs.get(key) ?? ours.get(key);
    if (!known || isEqual(ours.get(key), theirs.get(key))) continue;
    const { thing, currency } = known;
    const here = (await allHere(deps, thing)).get(key);
    const there = (await allThere(deps, thing)).get(key);
    if (isEqual(here, there)) continue;
    const { kind, id } = thing;
    differences.push({ kind, id, currency, here: inOrder(here), there: inOrder(there) });
  }
  return differences;
}
