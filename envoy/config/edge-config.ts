import { isIP } from "node:net";
import { z } from "zod";
import { publicServices } from "#marketplace/catalogue.ts";
import { booleanVariable, tokenConfig } from "#runtime/config.ts";

/** A comma-separated variable; an error names the index of the wrong item. */
const list = (items: string, item: z.ZodString) =>
  z
    .string()
    .default(items)
    .transform((text) =>
      text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== ""),
    )
    .pipe(z.array(item));

const network = z.string().refine(isNetwork, "must be a network, such as 10.42.0.0/16 or fd00::/8");
const origin = z.string().refine(isOrigin, "must be an origin, such as https://app.example");
const address = z.string().refine(isAddress, "must be a host and a port, such as auth:9000");
const addresses = (preset: string) => list(preset, address).pipe(z.array(z.string()).min(1));
const port = z.coerce.number().int().min(0).max(65_535);
const limit = z.coerce.number().int().positive().max(1_000_000);

/** The instances of each service that has RPCs: `AUTH_RPC_ADDRESSES` and so on. */
const rpcAddresses = Object.fromEntries(
  publicServices.map((name) => [`${name.toUpperCase()}_RPC_ADDRESSES`, addresses(`${name}:9000`)]),
) as Record<`${string}_RPC_ADDRESSES`, ReturnType<typeof addresses>>;

/** The edge's environment. Each variable has a row in `.env.example`. */
export const edgeConfig = z.object({
  /** The path of the Envoy binary. */
  ENVOY: z.string().min(1).default("/usr/local/bin/envoy"),
  HOST: z.string().refine(isIP, "must be an address, such as 0.0.0.0").default("0.0.0.0"),
  EDGE_PORT: port.default(8080),
  EDGE_ADMIN_PORT: port.default(9901),
  /** The Unix socket of Envoy's admin page behind that port; "@" marks one of Linux's abstract sockets. */
  EDGE_ADMIN_SOCKET: z.string().min(1).max(100).default("@edge-admin"),
  /** The networks whose X-Forwarded-For and X-Forwarded-Proto are trusted. */
  TRUSTED_NETWORKS: list("", network),
  /** The origins whose pages may send a user's cookies, besides the host that was called. */
  CSRF_ORIGINS: list("", origin),
  /** The origins whose pages may call with a token and read the responses. */
  CORS_ORIGINS: list("", origin),
  TOKEN_ISSUER: tokenConfig.TOKEN_ISSUER,
  TOKEN_AUDIENCE: tokenConfig.TOKEN_AUDIENCE,
  SECURE_COOKIES: tokenConfig.SECURE_COOKIES,
  /** Limits for each network: attempts such as sign-ins, sign-ups and renewals; new orders; pages. */
  EDGE_ATTEMPTS_PER_MINUTE: limit.default(60),
  EDGE_HOLDS_PER_MINUTE: limit.default(20),
  EDGE_PAGES_PER_MINUTE: limit.default(1_200),
  /** Limits for each account; a network has ten times as many. See rate-limits.ts. */
  EDGE_PAYMENTS_PER_MINUTE: limit.default(60),
  EDGE_WRITES_PER_MINUTE: limit.default(120),
  EDGE_SEARCHES_PER_MINUTE: limit.default(300),
  EDGE_READS_PER_MINUTE: limit.default(600),
  /** The calls to each service, and to the storefront, that may be in flight. */
  EDGE_CALLS_IN_FLIGHT: limit.default(512),
  EDGE_MAX_CONNECTIONS: limit.default(5_000),
  /** Whether the gRPC reflection service is exposed. */
  EDGE_REFLECTION: booleanVariable.default(false),
  JWKS_CACHE_SECONDS: z.coerce.number().int().positive().max(3_600).default(5),
  ...rpcAddresses,
  AUTH_HTTP_ADDRESSES: addresses("auth:9001"),
  PAYMENTS_HTTP_ADDRESSES: addresses("payments:9001"),
  WEB_ADDRESSES: addresses("web:3000"),
  /** The descriptor set that `buf build` makes of the contracts. */
  EDGE_DESCRIPTORS: z.string().min(1).default("envoy/ticketing.binpb"),
});
export type EdgeConfig = z.infer<typeof edgeConfig>;
export type EdgeVariable = keyof EdgeConfig;

/** A network with a prefix length; not the whole internet, as every client would be trusted. */
function isNetwork(text: string): boolean {
  const [ip = "", length = "", ...more] = text.split("/");
  const longest = { 0: 0, 4: 32, 6: 128 }[isIP(ip)] ?? 0;
  return more.length === 0 && /^[1-9]\d{0,2}$/.test(length) && Number(length) <= longest;
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}

/** "auth:9000", "10.42.0.7:9000", "[fd00::7]:9000" */
function isAddress(text: string): boolean {
  const { host, port } = splitAddress(text);
  const named = isIP(host) > 0 || /^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/i.test(host);
  return named && /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535;
}

export function splitAddress(text: string): { host: string; port: string } {
  const {
    host = "",
    v6,
    port = "",
  } = /^(?:\[(?<v6>[^\]]*)\]|(?<host>[^:]*)):(?<port>\d+)$/.exec(text)?.groups ?? {};
  return { host: v6 ?? host, port };
}
