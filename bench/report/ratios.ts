import type { Ratio, Row } from "./result.ts";

interface Rule {
  readonly name: string;
  readonly title: string;
  /** The workload above the line, and the one below. */
  readonly of: string;
  readonly over: string;
  /** What is compared: the CPU per request, unless it says something else. */
  readonly figure?: (row: Row) => number;
  /** What the project promises, and what it aims at. */
  readonly must?: number;
  readonly goal?: number;
}

const HELLO = "(Envoy + bare Node)";

/** The comparisons that the report shows. */
const rules: readonly Rule[] = [
  {
    name: "list-json/floor",
    title: `list of 100, Connect JSON / ${HELLO}`,
    of: "list-json",
    over: "envoy-node",
    goal: 1.6,
  },
  {
    name: "list-binary/floor",
    title: `list of 100, Connect binary / ${HELLO}`,
    of: "list-binary",
    over: "envoy-node",
    goal: 1.6,
  },
  {
    name: "list-rest/floor",
    title: `list of 100, REST / ${HELLO}`,
    of: "list-rest",
    over: "envoy-node",
  },
  {
    name: "list-json/rival",
    title: "list of 100, Connect JSON / rival",
    of: "list-json",
    over: "rival-list",
    must: 0.2,
  },
  {
    name: "ticket/floor",
    title: `one ticket, Connect JSON / ${HELLO}`,
    of: "ticket-connect",
    over: "envoy-node",
    goal: 2.5,
  },
  {
    name: "ticket/rival",
    title: "one ticket, Connect JSON / rival",
    of: "ticket-connect",
    over: "rival-ticket",
    must: 0.5,
  },
  {
    name: "user/floor",
    title: "current user, Connect JSON / (Envoy with token check + bare Node)",
    of: "user-connect",
    over: "envoy-token-node",
    goal: 1.3,
  },
  {
    name: "user/rival",
    title: "current user, Connect JSON / rival",
    of: "user-connect",
    over: "rival-user",
  },
  {
    name: "grpc/grpc-js",
    title: "gRPC unary, our server / @grpc/grpc-js",
    of: "grpc-ours",
    over: "grpc-js",
    must: 1.3,
    goal: 1,
  },
  {
    name: "create/floor",
    title: "create a ticket / its majority writes and confirms",
    of: "create",
    over: "create-writes",
    goal: 1.5,
  },
  {
    name: "create/rival",
    title: "create a ticket / rival (not durable)",
    of: "create",
    over: "rival-create",
    must: 1,
  },
  {
    name: "hold/floor",
    title: "create an order / its majority writes and confirms",
    of: "hold",
    over: "hold-writes",
    goal: 1.8,
  },
  {
    name: "hold/rival",
    title: "create an order / rival (not durable)",
    of: "hold",
    over: "rival-hold",
  },
  {
    name: "purchase/floor",
    title: "whole purchase / its majority writes and confirms",
    of: "purchase",
    over: "purchase-writes",
    goal: 2,
  },
  {
    name: "events/floor",
    title: "event to the last copy / publish to consume, median latency",
    of: "events",
    over: "events-bare",
    figure: ({ latencyMs }) => latencyMs.p50,
    must: 2.5,
    goal: 1.5,
  },
  {
    name: "consumer/floor",
    title: "CPU of an event, our consumer / bare amqplib",
    of: "events",
    over: "events-bare",
  },
  {
    name: "storefront/floor",
    title: "storefront, first page / (Envoy + bare Node)",
    of: "storefront",
    over: "envoy-node",
  },
];

const cpuOf = (row: Row): number => row.cpu.median;

/** The ratios of those workloads that the run measured. */
export function ratiosOf(rows: readonly Row[]): Ratio[] {
  const byName = new Map(rows.map((row) => [row.name, row]));
  return rules.flatMap(({ of, over, figure = cpuOf, ...rule }) => {
    const [above, below] = [byName.get(of), byName.get(over)];
    return above && below ? [{ ...rule, value: figure(above) / figure(below) }] : [];
  });
}
