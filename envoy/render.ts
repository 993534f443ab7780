import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** The addresses ("127.0.0.1:9000") of the instances of a service. */
export interface Instances {
  /** h2c: gRPC, gRPC-Web and Connect. */
  readonly rpc: readonly string[];
  /** Plain HTTP/1.1; the edge uses only those of auth and payments. */
  readonly http?: readonly string[];
}

export interface Upstreams {
  readonly auth: Instances;
  readonly tickets: Instances;
  readonly orders: Instances;
  readonly payments: Instances;
  readonly web: readonly string[];
}

/** What differs between one machine and the cluster that envoy.yaml is written for. */
export interface Settings {
  readonly upstreams: Upstreams;
  readonly port: number;
  readonly adminPort: number;
  /** The file that `buf build` made. */
  readonly descriptors: string;
  /** Hosts ("app.example:8443") whose pages may act for a visitor, besides the edge's own. */
  readonly origins?: readonly string[];
  /** Origins ("https://app.example") whose pages may call with a token, and read the answers; none. */
  readonly pages?: readonly string[];
  /** Whether the browser's cookie is the one with the prefix `__Host-`; no: there is no TLS here. */
  readonly secureCookies?: boolean;
  /** So long the edge goes on with the keys that it has; as envoy.yaml says, if not said. */
  readonly keysSeconds?: number;
  /** Networks whose X-Forwarded-For is believed; this machine, if not said. */
  readonly trusted?: readonly string[];
  /** Sign-ins, sign-ups and refreshes per address; many, if not said: one machine is one address. */
  readonly attemptsPerMinute?: number;
  /** Whether the contracts can be asked for; yes, if not said. */
  readonly reflection?: boolean;
}

// The little of Envoy's types that is changed here.
interface Config {
  admin: Addressed;
  static_resources: {
    listeners: [
      Addressed & {
        enable_reuse_port?: boolean;
        filter_chains: [{ filters: [{ typed_config: Manager }] }];
      },
    ];
    clusters: Cluster[];
  };
  layered_runtime?: object;
}
interface Addressed {
  address: { socket_address: { address: string; port_value: number } };
}
interface Cluster {
  name: string;
  load_assignment: { endpoints: [{ lb_endpoints: { endpoint: Addressed }[] }] };
}
interface Manager {
  original_ip_detection_extensions: [{ typed_config: { xff_trusted_cidrs: { cidrs: object[] } } }];
  // Each filter has settings of its own; a wrong one is refused by Envoy at its start.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  http_filters: { name: string; typed_config: any }[];
  route_config: {
    virtual_hosts: [
      {
        routes: { match: { path?: string }; route?: { timeout: string } }[];
        typed_per_filter_config: { cors: { allow_origin_string_match: object[] } };
      },
    ];
  };
}

/** The edge as envoy.yaml has it. */
export const readConfig = (): Config =>
  parse(readFileSync(join(import.meta.dirname, "envoy.yaml"), "utf8")) as Config;

/** The same edge, with the addresses and limits of one machine. */
export function render(settings: Settings): Config {
  const { upstreams, port, adminPort, descriptors, attemptsPerMinute = 100_000 } = settings;
  const { origins = [], trusted = ["127.0.0.1/32", "::1/128"], reflection = true } = settings;
  const { pages = [], secureCookies = false, keysSeconds } = settings;
  const config = readConfig();
  const [listener] = config.static_resources.listeners;
  const manager = listener.filter_chains[0].filters[0].typed_config;
  const filter = (name: string) =>
    manager.http_filters.find((each) => each.name === name)?.typed_config;

  config.admin.address.socket_address.port_value = adminPort;
  listener.address.socket_address = { address: "127.0.0.1", port_value: port };
  // A port that somebody else has is an error, and not shared with them.
  listener.enable_reuse_port = false;

  manager.original_ip_detection_extensions[0].typed_config.xff_trusted_cidrs.cidrs =
    trusted.map(cidr);
  const hosts = [...origins, ...pages.map((page) => new URL(page).host)];
  filter("csrf").extension_config.typed_config.additional_origins = hosts.map(exactly);
  const { cors } = manager.route_config.virtual_hosts[0].typed_per_filter_config;
  cors.allow_origin_string_match = pages.map(exactly);
  const { bearer, cookie } = filter("tokens").providers;
  if (!secureCookies) cookie.from_cookies = ["ticketing_access"];
  for (const provider of keysSeconds ? [bearer, cookie] : []) {
    provider.remote_jwks.cache_duration = `${keysSeconds}s`;
  }
  filter("rest").proto_descriptor = descriptors;
  for (const { token_bucket: bucket } of filter("attempts").descriptors) {
    bucket.max_tokens = bucket.tokens_per_fill = attemptsPerMinute;
  }

  for (const cluster of config.static_resources.clusters) {
    cluster.load_assignment.endpoints[0].lb_endpoints = instances(cluster.name, upstreams).map(
      (each) => ({ endpoint: { address: { socket_address: address(each) } } }),
    );
  }
  if (!reflection) {
    config.layered_runtime = {
      layers: [{ name: "machine", static_layer: { "edge.reflection": 0 } }],
    };
  }
  return config;
}

/** Of a cluster's name: "orders" are RPC ports, "auth-http" the plain ones. */
function instances(cluster: string, { web, ...services }: Upstreams): readonly string[] {
  if (cluster === "web") return web;
  const [service, http] = cluster.split("-") as [keyof typeof services, string?];
  return (http === undefined ? services[service].rpc : services[service].http) ?? [];
}

function address(hostAndPort: string) {
  const colon = hostAndPort.lastIndexOf(":");
  return { address: hostAndPort.slice(0, colon), port_value: Number(hostAndPort.slice(colon + 1)) };
}

const exactly = (exact: string) => ({ exact });

function cidr(network: string) {
  const [address_prefix, length] = network.split("/");
  return { address_prefix, prefix_len: Number(length) };
}
