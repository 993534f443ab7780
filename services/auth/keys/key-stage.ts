import type { KeyFields } from "./key.ts";

/**
 * The stage of a key's life. A key is published before it signs, so that every verifier has it by then,
 * and it verifies while a token that it signed can be valid.
 */
export type KeyStage = "next" | "signs" | "verifies" | "retired" | "withdrawn";

export interface StagedKey {
  key: KeyFields;
  stage: KeyStage;
}

export const isPublished = ({ stage }: StagedKey): boolean =>
  stage !== "retired" && stage !== "withdrawn";

const signingStart = ({ signsFrom }: KeyFields): number => signsFrom?.getTime() ?? Infinity;

/**
 * The stage of each key at a time. It depends on the stored keys and the clock alone, so all instances
 * agree. `verificationMs` is how long a key verifies after its successor has started to sign.
 */
export function stageKeys(
  keys: readonly KeyFields[],
  now: number,
  verificationMs: number,
): StagedKey[] {
  const ordered = keys.toSorted(
    (a, b) => signingStart(a) - signingStart(b) || a.sequence - b.sequence,
  );
  const usable = ordered.filter(({ withdrawTime, sealed }) => !withdrawTime && sealed);
  // After a withdrawal the next key's start may be slightly ahead of this clock: then the first one signs.
  const signing = usable.findLast((key) => signingStart(key) <= now) ?? usable[0];

  return ordered.map((key, i) => {
    const successor = ordered[i + 1];
    const stage = (): KeyStage => {
      if (key.withdrawTime) return "withdrawn";
      if (key === signing) return "signs";
      if (signingStart(key) > now) return "next";
      return successor && signingStart(successor) + verificationMs > now ? "verifies" : "retired";
    };
    return { key, stage: stage() };
  });
}
