// The least that Envoy can do: answer by itself, pass a request on, and check a token before. It has the
// settings of the real edge that decide about cost: two threads, HTTP/1.1 and HTTP/2 on one port.

/** The path prefixes of the floors. */
export const paths = {
  direct: "/direct",
  http1: "/http1",
  http2: "/http2",
  rival: "/rival",
  token: "/token",
} as const;

interface Ports {
  readonly edge: number;
  readonly admin: number;
  readonly http1: number;
  readonly http2: number;
  readonly rival: number;
}

interface TokenRules {
  readonly issuer: string;
  /** The public keys, as a JWK set in JSON. */
  readonly keys: string;
}

const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
const address = (port: number) => ({
  socket_address: { address: "127.0.0.1", port_value: port },
});

function cluster(name: string, port: number, protocol: "http" | "http2") {
  const options =
    protocol === "http" ? { http_protocol_options: {} } : { http2_protocol_options: {} };
  return {
    name,
    type: "STATIC",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": type("upstreams.http.v3.HttpProtocolOptions"),
        explicit_http_config: options,
        // Shorter than the 5 s after which Node closes an idle connection.
        common_http_protocol_options: { idle_timeout: "3s" },
      },
    },
  };
}

const route = (prefix: string, cluster: string) => ({
  match: { prefix: `${prefix}/` },
  route: { cluster, prefix_rewrite: "/" },
});

const tokenFilter = ({ issuer, keys }: TokenRules) => ({
  name: "jwt",
  typed_config: {
    "@type": type("filters.http.jwt_authn.v3.JwtAuthentication"),
    providers: { auth: { issuer, local_jwks: { inline_string: keys } } },
    rules: [{ match: { prefix: `${paths.token}/` }, requires: { provider_name: "auth" } }],
  },
});

/** The configuration of an Envoy for all floors and for the rival. */
export function floorConfig(ports: Ports, tokens: TokenRules): unknown {
  const manager = {
    "@type": type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "floor",
    codec_type: "AUTO",
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [
            {
              match: { prefix: paths.direct },
              direct_response: { status: 200, body: { inline_string: '{"hello":"world"}' } },
            },
            route(paths.http1, "http1"),
            route(paths.token, "http1"),
            route(paths.http2, "http2"),
            route(paths.rival, "rival"),
          ],
        },
      ],
    },
    http_filters: [
      tokenFilter(tokens),
      { name: "router", typed_config: { "@type": type("filters.http.router.v3.Router") } },
    ],
  };
  return {
    admin: { address: address(ports.admin) },
    static_resources: {
      listeners: [
        {
          name: "floor",
          address: address(ports.edge),
          connection_balance_config: { exact_balance: {} },
          filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
        },
      ],
      clusters: [
        cluster("http1", ports.http1, "http"),
        cluster("http2", ports.http2, "http2"),
        cluster("rival", ports.rival, "http"),
      ],
    },
  };
}
