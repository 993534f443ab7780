import type { Result } from "./result.ts";

/** A ratio may be worse than before by this part. */
const TOLERANCE = 0.15;

/** A line for each ratio that has become worse by more than the tolerance. */
export function regressions(before: Pick<Result, "ratios">, now: Pick<Result, "ratios">): string[] {
  const old = new Map(before.ratios.map(({ name, value }) => [name, value]));
  return now.ratios.flatMap(({ name, title, value }) => {
    const was = old.get(name);
    if (was === undefined || value <= was * (1 + TOLERANCE)) return [];
    const percent = Math.round((value / was - 1) * 100);
    return [`${title}: ${value.toFixed(2)}, ${percent} % worse than ${was.toFixed(2)}`];
  });
}
