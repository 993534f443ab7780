import { setTimeout as passing } from "node:timers/promises";
import { CallError } from "#runtime/errors.ts";
import { type AppliedContribution, type Contribution, NO_CONTRIBUTION } from "../ledger.ts";
import { type BalanceDeps, isSame, readSource, updateSource } from "./balance-source.ts";
import { type Balance, openBalance, type SourceKind } from "./balance.ts";

/** Tells the thing whose share was counted last; of an earlier process, perhaps. */
export async function completePending(
  deps: BalanceDeps,
  { _id, version, pending }: Balance,
): Promise<void> {
  if (!pending) return;
  const { kind, id, counted } = pending;
  const before = counted.n === 1 ? { counted: null } : { "counted.n": counted.n - 1 };
  await updateSource(deps, kind, { _id: id, ...before }, { $set: { counted } });
  const done = { $unset: { pending: 1 }, $inc: { version: 1 } };
  await deps.balances.updateOne({ _id, version }, done);
}

/** Adds the difference to a balance, if it is still as it was read, and notes of which thing it is. */
export async function applyContribution(
  { balances }: BalanceDeps,
  { _id, version }: Balance,
  thing: { kind: SourceKind; id: string; before: AppliedContribution; share: Contribution },
): Promise<Balance | undefined> {
  const { kind, id, before, share } = thing;
  const difference = {
    held: share.held - before.held,
    available: share.available - before.available,
    paidOut: share.paidOut - before.paidOut,
    payouts: share.payouts - before.payouts,
  };
  const pending = { kind, id, counted: { ...share, n: before.n + 1 } };
  const change = { $inc: { ...difference, version: 1 }, $set: { pending } };
  const after = await balances
    .findOneAndUpdate({ _id, version }, change, { returnDocument: "after" })
    .lean<Balance>();
  return after ?? undefined;
}

const MOST_ROUNDS = 20;

/** Brings the balance up to date with one thing. */
export async function materialize(deps: BalanceDeps, kind: SourceKind, id: string): Promise<void> {
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const found = await readSource(deps, kind, id);
    if (!found) return;
    // The balance first: what the thing says it was counted for is then at least as new.
    const balance = await openBalance(deps.balances, found.sellerId, found.currency);
    await completePending(deps, balance);
    const thing = balance.pending ? undefined : await readSource(deps, kind, id);
    if (thing) {
      const { contribution: share, counted: before = NO_CONTRIBUTION, next, unchanged } = thing;
      const isCounted = isSame(before, share);
      const after = isCounted
        ? undefined
        : await applyContribution(deps, balance, { kind, id, before, share });
      if (after) await completePending(deps, after);
      const rest = next ? { $set: { countTime: next } } : { $unset: { countTime: 1 } };
      if (isCounted || after) return updateSource(deps, kind, { _id: id, ...unchanged }, rest);
      await passing(Math.random() * 10 * (round + 1)); // Others count too.
    }
  }
  throw new CallError("CHANGED_MEANWHILE", "others keep changing this balance; try again");
}
