import type { Ratio, Row } from "./result.ts";

interface Rule {
  readonly name: string;
  readonly title: string;
  /** The workload whose CPU is above the line, and those whose sum is below. */
  readonly of: string;
  readonly over: readonly string[];
  /** What the project promises, and what it aims at. */
  readonly must?: number;
  readonly goal?: number;
}

const HELLO = "(Envoy + bare Node)";

/** The comparisons of CPU per request that the report shows. */
const rules: readonly Rule[] = [
  {
    name: "list-json/floor",
    title: `list of 100, Connect JSON / ${HELLO}`,
    of: "list-json",
    over: ["envoy-node"],
    goal: 1.6,
  },
  {
    name: "list-binary/floor",
    title: `list of 100, Connect binary / ${HELLO}`,
    of: "list-binary",
    over: ["envoy-node"],
    goal: 1.6,
  },
  {
    name: "list-rest/floor",
    title: `list of 100, REST / ${HELLO}`,
    of: "list-rest",
    over: ["envoy-node"],
  },
  {
    name: "list-json/rival",
    title: "list of 100, Connect JSON / rival",
    of: "list-json",
    over: ["rival-list"],
    must: 0.2,
  },
  {
    name: "ticket/floor",
    title: `one ticket, Connect JSON / ${HELLO}`,
    of: "ticket-connect",
    over: ["envoy-node"],
    goal: 2.5,
  },
  {
    name: "ticket/rival",
    title: "one ticket, Connect JSON / rival",
    of: "ticket-connect",
    over: ["rival-ticket"],
    must: 0.5,
  },
  {
    name: "user/floor",
    title: "current user, Connect JSON / (Envoy with token check + bare Node)",
    of: "user-connect",
    over: ["envoy-token-node"],
    goal: 1.3,
  },
  {
    name: "user/rival",
    title: "current user, Connect JSON / rival",
    of: "user-connect",
    over: ["rival-user"],
  },
  {
    name: "grpc/grpc-js",
    title: "gRPC unary, our server / @grpc/grpc-js",
    of: "grpc-ours",
    over: ["grpc-js"],
    must: 1.3,
    goal: 1,
  },
  {
    name: "create/floor",
    title: "create a ticket / its majority writes and confirms",
    of: "create",
    over: ["create-writes"],
    goal: 1.5,
  },
  {
    name: "create/rival",
    title: "create a ticket / rival (not durable)",
    of: "create",
    over: ["rival-create"],
    must: 1,
  },
  {
    name: "hold/floor",
    title: "create an order / its majority writes and confirms",
    of: "hold",
    over: ["hold-writes"],
    goal: 1.8,
  },
  {
    name: "hold/rival",
    title: "create an order / rival (not durable)",
    of: "hold",
    over: ["rival-hold"],
  },
  {
    name: "purchase/floor",
    title: "whole purchase / its majority writes and confirms",
    of: "purchase",
    over: ["purchase-writes"],
    goal: 2,
  },
];

/** The ratios of those workloads that the run measured. */
export function ratiosOf(rows: readonly Row[]): Ratio[] {
  const cpu = new Map(rows.map((row) => [row.name, row.cpu.median]));
  return rules.flatMap(({ of, over, ...rule }) => {
    const parts = [of, ...over].map((name) => cpu.get(name));
    if (parts.includes(undefined)) return [];
    const [above = 0, ...below] = parts as number[];
    return [{ ...rule, value: above / below.reduce((total, each) => total + each, 0) }];
  });
}
