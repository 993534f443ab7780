import { setTimeout as passing } from "node:timers/promises";
import { CallError } from "#runtime/errors.ts";
import { type AppliedContribution, type Contribution, NO_CONTRIBUTION } from "../ledger.ts";
import { type BalanceDeps, isSame, readSource, updateSource } from "./balance-source.ts";
import { type Balance, openBalance, type SourceKind } from "./balance.ts";

// Balances are materialized from the ledger. Each change of a sale or a payout marks it as due in the
// same write; here the change of its contribution is added to its seller's balance, exactly once. No
// transaction spans the two documents: the balance adds the contribution and stores its source as
// pending in one compare-and-set, and then the source stores what was applied. After a crash at any
// point, the next instance continues from the pending contribution.

/** Stores the last applied contribution in its source, also after a crash in between. */
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

/** Adds the change of a contribution to a balance with compare-and-set, and marks it as pending. */
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

const MAX_ROUNDS = 20;

/** Applies the current contribution of a source to its balance. */
export async function materialize(deps: BalanceDeps, kind: SourceKind, id: string): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const found = await readSource(deps, kind, id);
    if (!found) return;
    // The balance is read first, so that the applied contribution of the source is at least as new.
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
      await passing(Math.random() * 10 * (round + 1)); // Concurrent writers back off.
    }
  }
  throw new CallError("CHANGED_MEANWHILE", "others keep changing this balance; try again");
}
