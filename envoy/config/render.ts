import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { services } from "#marketplace/catalogue.ts";
import { AUTHORITY } from "./authority.ts";
import { splitAddress, type EdgeConfig } from "./edge-config.ts";
import { openPaths } from "./open-paths.ts";
import { accountLimits, networkLimits } from "./rate-limits.ts";
import { bodiesLua, requestsLua } from "../lua/scripts.ts";
import { localReplies } from "../errors/local-replies.ts";

/** The template, with a `$NAME` for each value of the environment. */
export const readTemplate = (): unknown =>
  parse(readFileSync(join(import.meta.dirname, "../envoy.yaml"), "utf8"));

/** Envoy's configuration, which Envoy reads as JSON. */
export const render = (config: EdgeConfig): unknown => fill(readTemplate(), valuesOf(config));

/** Replaces whole values only, so that no variable can inject a part of the template. */
export function fill(template: unknown, values: Readonly<Record<string, unknown>>): unknown {
  // A value that is a list replaces its name in a list by all its items.
  if (Array.isArray(template)) return template.flatMap((each) => fill(each, values));
  if (typeof template === "object" && template !== null) {
    return Object.fromEntries(
      Object.entries(template).map(([key, value]) => [key, fill(value, values)]),
    );
  }
  const [, name] = /^\$([A-Z_]+)$/.exec(String(template)) ?? [];
  if (name === undefined) return template;
  if (!(name in values)) throw new Error(`envoy.yaml uses $${name}, which has no value`);
  return values[name];
}

/** The values for the names in the template, in Envoy's format. */
export function valuesOf(config: EdgeConfig): Record<string, unknown> {
  const { ENVOY: _, SECURE_COOKIES, CSRF_ORIGINS, JWKS_CACHE_SECONDS, ...rest } = config;
  const { CORS_ORIGINS, TRUSTED_NETWORKS, EDGE_REFLECTION } = config;
  const lists = Object.entries(config).filter(([name]) => name.endsWith("_ADDRESSES"));
  const unchanged = Object.entries(rest).filter(([name]) => !name.endsWith("_PER_MINUTE"));
  return {
    ...Object.fromEntries(unchanged),
    AUTHORITY,
    LOCAL_REPLIES: localReplies(),
    REQUESTS_LUA: requestsLua(),
    BODIES_LUA: bodiesLua(),
    OPEN_PATHS: openPaths(),
    NETWORK_LIMITS: networkLimits(config),
    ACCOUNT_LIMITS: accountLimits(config),
    SERVICES: services.map(({ typeName }) => typeName),
    ACCESS_COOKIE: SECURE_COOKIES ? "__Host-ticketing_access" : "ticketing_access",
    TRUSTED_NETWORKS: TRUSTED_NETWORKS.map(cidr),
    // Envoy compares only the host of an origin with the host that was called, and ignores the scheme.
    CSRF_HOSTS: [...CSRF_ORIGINS, ...CORS_ORIGINS].map((each) => exactly(new URL(each).host)),
    CORS_ORIGINS: CORS_ORIGINS.map(exactly),
    EDGE_REFLECTION: EDGE_REFLECTION ? 100 : 0,
    JWKS_CACHE: `${JWKS_CACHE_SECONDS}s`,
    ...Object.fromEntries(lists.map(([name, list]) => [name, (list as string[]).map(endpoint)])),
  };
}

const exactly = (exact: string) => ({ exact });

function cidr(network: string) {
  const [address_prefix, length] = network.split("/");
  return { address_prefix, prefix_len: Number(length) };
}

function endpoint(hostAndPort: string) {
  const { host, port } = splitAddress(hostAndPort);
  const socket_address = { address: host, port_value: Number(port) };
  return { endpoint: { address: { socket_address } } };
}
