import { connectionManagerOf } from "./connection-manager.ts";

// Runs in the place of Envoy. It rewrites the rendered configuration so that the rules for the contracts
// of tickets apply to the services of the conformance suite, and then becomes Envoy.

const [envoy = "", ...envoyArguments] = process.argv.slice(2);
const configIndex = envoyArguments.indexOf("--config-yaml") + 1;
// The expressions of local replies stay ('/ticketing.'): the suite expects errors without our details.
const config: unknown = JSON.parse(
  envoyArguments[configIndex]
    ?.replaceAll("/ticketing.tickets.v1.", "/connectrpc.conformance.v1.")
    .replaceAll(/\/ticketing\.(?!binpb|')/g, "/connectrpc.") ?? "",
);
const { http_filters, route_config } = connectionManagerOf(config);

// The suite sends no tokens.
const { rules } = http_filters.find(({ name }: { name: string }) => name === "tokens").typed_config;
rules.unshift({ match: { prefix: "/connectrpc.conformance.v1." } });

// As in envoy.yaml, streaming methods have a route without a time limit and without body buffering.
const { routes } = route_config.virtual_hosts[0];
const first = routes.findIndex(({ match }: any) => match.prefix === "/connectrpc.conformance.v1.");
const { route } = routes[first];
const regex = "/connectrpc\\.conformance\\.v1\\.ConformanceService/[A-Za-z]+Stream";
routes.splice(first, 0, { match: { safe_regex: { regex } }, route: { ...route, timeout: "0s" } });

const args = ["envoy", ...envoyArguments.with(configIndex, JSON.stringify(config))];
process.execve?.(envoy, args, process.env);
