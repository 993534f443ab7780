import { drive } from "./load/driver.ts";
import { ghz, type GrpcCall } from "./load/ghz.ts";
import type { Arrivals, Outcome, Target } from "./load/load.ts";
import { vegeta } from "./load/vegeta.ts";

/** What is measured: this marketplace, the bare parts that it cannot do without, or the rival. */
export type Side = "ours" | "floor" | "rival";

/** A warm-up has a number of requests, because code is fast once it has run often enough. */
export type Pass =
  | { readonly loop: Arrivals["loop"]; readonly seconds: number }
  | { readonly loop: "warm-up"; readonly requests: number };

/** One line of the result. */
export interface Workload {
  readonly name: string;
  /** The name that selects it on the command line, with its floors and its rival. */
  readonly family: string;
  readonly title: string;
  readonly side: Side;
  /** The processes that do the work; without it, all processes of the marketplace. */
  readonly processes?: readonly string[];
  /** Makes what a pass needs, outside of the measurement, and returns the pass. */
  prepare(pass: Pass): Promise<() => Promise<Outcome>>;
  /** Resolves when nothing is left to do for the requests that were answered. */
  readonly settled?: () => Promise<void>;
}

type Common = Omit<Workload, "prepare"> & {
  /** The connections of the closed loop. */
  readonly connections: number;
  /** The arrival rate of the open loop. */
  readonly perSecond: number;
};

const arrivalsOf = ({ connections, perSecond }: Common, { loop }: Pass): Arrivals =>
  loop === "open" ? { loop, perSecond } : { loop: "closed", connections };

/** No warm-up has more requests than arrive in this time. */
const WARM_UP_SECONDS = 20;

const warmUpOf = ({ perSecond }: Common, requests: number): number =>
  Math.min(requests, perSecond * WARM_UP_SECONDS);

/** The number of requests in a pass whose requests can be sent only once. */
function countOf(common: Common, pass: Pass): number {
  const { connections, perSecond } = common;
  if (pass.loop === "warm-up") return warmUpOf(common, pass.requests);
  const count = Math.ceil(perSecond * pass.seconds);
  return pass.loop === "open" ? count : Math.max(connections, 2 * count);
}

/** Sends the same requests again and again. */
export const repeated = (common: Common & { targets: readonly Target[] }): Workload => ({
  ...common,
  prepare: async (pass) => () => {
    const arrivals = arrivalsOf(common, pass);
    if (pass.loop !== "warm-up") return vegeta(common.targets, { arrivals, seconds: pass.seconds });
    const each = Math.ceil(warmUpOf(common, pass.requests) / common.targets.length);
    return vegeta(Array.from({ length: each }, () => common.targets).flat(), { arrivals });
  },
});

/** Sends each request once, as every one changes something. */
export const once = (
  common: Common & { targets: (count: number) => Promise<readonly Target[]> },
): Workload => ({
  ...common,
  async prepare(pass) {
    const targets = await common.targets(countOf(common, pass));
    return () => vegeta(targets, { arrivals: arrivalsOf(common, pass) });
  },
});

/** Runs a flow of several calls for each item. */
export const flow = <T>(
  common: Common & {
    items: (count: number) => Promise<readonly T[]>;
    each: (item: T) => Promise<unknown>;
  },
): Workload => ({
  ...common,
  async prepare(pass) {
    const items = await common.items(countOf(common, pass));
    return () => drive(items, common.each, arrivalsOf(common, pass));
  },
});

/** Does a number of requests in its own way. */
export const custom = (
  common: Common & { run: (count: number, arrivals: Arrivals) => Promise<Outcome> },
): Workload => ({
  ...common,
  prepare: async (pass) => () => common.run(countOf(common, pass), arrivalsOf(common, pass)),
});

/** Sends the same gRPC call again and again. */
export const grpc = (common: Common & { call: GrpcCall }): Workload => ({
  ...common,
  prepare: async (pass) => () => ghz(common.call, arrivalsOf(common, pass), pass),
});
