import { type Truthy, until } from "#stack/process";

/** Looks again and again until the condition gives something truthy, and gives that. */
export const eventually = <T>(
  condition: () => T | Promise<T>,
  what: string,
  timeoutMs = 20_000,
): Promise<Truthy<T>> => until(condition, { what, timeoutMs, everyMs: 10 });
