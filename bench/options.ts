import { parseArgs } from "node:util";
import type { Plan } from "./measure/rounds.ts";

export interface Options {
  /** The families of workloads to run; all if it is empty. */
  readonly families: readonly string[];
  readonly plan: Plan;
  /** Whether a rough result is enough. */
  readonly isQuick: boolean;
  /** Where to write the result. */
  readonly json: string | undefined;
  /** The result of an earlier run. */
  readonly compare: string | undefined;
  readonly profile: boolean;
  /** Whether to write docs/performance.md. */
  readonly write: boolean;
}

const FULL: Plan = { rounds: 3, warmUpRequests: 3_000, closedSeconds: 2, openSeconds: 3 };
const QUICK: Plan = { rounds: 2, warmUpRequests: 1_000, closedSeconds: 1, openSeconds: 1 };

/** Reads the command line. It throws an error for an unknown option or family. */
export function readOptions(args: readonly string[], known: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      compare: { type: "string" },
      profile: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`There is no benchmark ${unknown.join(", ")}. There are: ${known.join(", ")}.`);
  }
  return {
    families: positionals,
    plan: values.quick ? QUICK : FULL,
    isQuick: values.quick,
    json: values.json,
    compare: values.compare,
    profile: values.profile,
    write: values.write,
  };
}
