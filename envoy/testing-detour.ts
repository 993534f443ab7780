import { managerOf } from "./testing-manager.ts";

// Stands in the place of Envoy, and then becomes it: the edge's configuration as it was rendered, but
// that what it does for the contracts of tickets it does for those of the conformance suite.

const [envoy = "", ...given] = process.argv.slice(2);
const at = given.indexOf("--config-yaml") + 1;
const config: unknown = JSON.parse(
  given[at]
    ?.replaceAll("/ticketing.tickets.v1.", "/connectrpc.conformance.v1.")
    .replaceAll(/\/ticketing\.(?!binpb)/g, "/connectrpc.") ?? "",
);
const { http_filters, route_config } = managerOf(config);

// The suite has no tokens.
const { rules } = http_filters.find(({ name }: { name: string }) => name === "tokens").typed_config;
rules.unshift({ match: { prefix: "/connectrpc.conformance.v1." } });

// Methods that stream have a route of their own, as envoy.yaml says: without an end, and not read whole.
const { routes } = route_config.virtual_hosts[0];
const first = routes.findIndex(({ match }: any) => match.prefix === "/connectrpc.conformance.v1.");
const { route } = routes[first];
const regex = "/connectrpc\\.conformance\\.v1\\.ConformanceService/[A-Za-z]+Stream";
routes.splice(first, 0, { match: { safe_regex: { regex } }, route: { ...route, timeout: "0s" } });

const args = ["envoy", ...given.with(at, JSON.stringify(config))];
process.execve?.(envoy, args, process.env);
