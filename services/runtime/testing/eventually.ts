import { type Truthy, until } from "#stack/process";

/** Evaluates the condition repeatedly until its result is truthy, and returns that. */
export const eventually = <T>(
  condition: () => T | Promise<T>,
  what: string,
  timeoutMs = 20_000,
): Promise<Truthy<T>> => until(condition, { what, timeoutMs, everyMs: 10 });
