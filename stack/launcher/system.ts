import { join } from "node:path";
import { catalogue } from "#marketplace/catalogue.ts";
import {
  ownerVariables,
  openSecrets,
  type Part,
  type Parts,
  startParts,
  servicesWithDatabase,
} from "#stack/parts";
import { startEdge, type Edge } from "./edge.ts";
import { preferredPort } from "#stack/process";
import { startMailbox, startStripe, startWeb } from "./local-servers.ts";
import { startInstance, type Instance } from "./instance.ts";
import { supervise } from "./supervisor.ts";
import { ensureTools } from "#stack/tools";

/** Those that store something, and the one that does not. */
export const services = [...servicesWithDatabase, "expiration"] as const;
export type ServiceName = (typeof services)[number];

/** What services reach by an address, and may find away. */
export type PartName = "broker" | "database" | "redis" | "smtp";

const addresses: Readonly<Record<string, PartName>> = {
  AMQP_URI: "broker",
  MONGODB_URI: "database",
  REDIS_URI: "redis",
  SMTP_URL: "smtp",
};

export interface SystemOptions {
  /** Where all data, logs and secrets lie; they are found again at the next start. */
  readonly dir: string;
  /** The edge's port; any free one where it is not given or not free. */
  readonly port?: number;
  /** How many of each service; one if not said. */
  readonly instances?: number;
  /** Variables for all services: shorter holds, higher limits. */
  readonly env?: Readonly<Record<string, string>>;
  /** Leads a service to a part by another way, which a test can cut. */
  readonly via?: (part: PartName, url: string, service: ServiceName) => Promise<string>;
  /** Starts again what ends by itself, and says so; else it stays ended. */
  readonly supervised?: boolean;
  /** Opens the local Stripe's switches. */
  readonly test?: boolean;
  /** What the start itself has to say. */
  readonly log?: (line: string) => void;
  /** Each line that a process says. */
  readonly onLine?: (name: string, line: string) => void;
}

/** The whole marketplace, running on this machine. */
export interface System {
  readonly url: string;
  readonly edge: Edge;
  readonly parts: Parts;
  readonly instances: Readonly<Record<ServiceName, readonly Instance[]>>;
  /** The local Stripe's address and key; no address and no process where the real one is used. */
  readonly stripe: { url: string | undefined; key: string; process: Part | undefined };
  /** Where mails can be read, and where they are taken; no address where they really go out. */
  readonly mailbox: string | undefined;
  readonly smtp: string | undefined;
  /** The storefront's own server, behind the edge. */
  readonly web: string;
  /** Each process that this start has made, the parts among them. */
  readonly processes: readonly (Part | Instance)[];
  stop(): Promise<void>;
}

/** What the environment says; a variable that is empty, as in `.env.example`, says nothing. */
const given = (name: string): string | undefined => process.env[name] || undefined;

/**
 * On one machine all come from one address, and people who try things out make accounts by the dozen:
 * neither is a crowd, unless the environment asks for the rules of decision 28.
 */
const amongOurselves = () => ({
  REQUIRE_CONFIRMED_EMAIL: given("REQUIRE_CONFIRMED_EMAIL") ?? "false",
  MAX_HOLDS_PER_NETWORK: given("MAX_HOLDS_PER_NETWORK") ?? "100000",
  MAX_OPEN_ORDERS_NEW: given("MAX_OPEN_ORDERS_NEW") ?? "100000",
});

/** Starts everything: the real parts, a local Stripe, every service, the storefront and the edge. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { dir, instances: count = 1, log = console.log, onLine } = options;
  const tools = await ensureTools(["envoy"], log);
  const parts = await startParts({
    dir,
    services: [...services],
    databases: [...servicesWithDatabase],
    rights: catalogue,
    log,
  });
  const stops: (() => Promise<void>)[] = [() => parts.stop()];

  async function stop(): Promise<void> {
    for (const end of stops.splice(0).reverse()) await end();
  }

  async function start(service: ServiceName, env: Record<string, string>): Promise<Instance[]> {
    const store = (servicesWithDatabase as readonly string[]).includes(service);
    const direct = {
      AMQP_URI: parts.amqpUrl(service),
      ...(store ? { MONGODB_URI: parts.mongoUrl(service) } : {}),
      // When all stops, the edge does first.
      SHUTDOWN_DRAIN_SECONDS: given("SHUTDOWN_DRAIN_SECONDS") ?? "0",
      ...env,
    };
    const led = Object.entries(direct).map(async ([name, value]) => {
      const part = options.via && addresses[name];
      return [name, part ? await options.via?.(part, value, service) : value] as const;
    });
    const variables = Object.fromEntries(await Promise.all(led)) as Record<string, string>;
    const one = (n: number): Promise<Instance> => {
      const name = count === 1 ? service : `${service}-${n}`;
      return startInstance({
        name,
        service,
        env: { ...ownerVariables(dir), ...variables, ...options.env },
        logFile: join(dir, "logs", `${name}.log`),
        onLine: (line) => onLine?.(name, line),
      });
    };
    const started = await Promise.all(Array.from({ length: count }, (_, i) => one(i + 1)));
    stops.push(async () => void (await Promise.all(started.map((instance) => instance.stop()))));
    return started;
  }

  try {
    const secret = openSecrets(join(dir, "services.json"));
    const port = await preferredPort(options.port, "The edge", log);
    const edgeUrl = `http://127.0.0.1:${port}`;
    const key = given("STRIPE_KEY") ?? `sk_test_${secret("stripe")}`;
    const webhookSecret = given("STRIPE_WEBHOOK_SECRET") ?? `whsec_${secret("webhook")}`;
    const stripe = given("STRIPE_KEY")
      ? undefined
      : await startStripe(options, { key, webhookSecret, edgeUrl });
    if (stripe) stops.push(() => stripe.part.stop());

    const mails = given("SMTP_URL") ? undefined : await startMailbox(options);
    if (mails) stops.push(() => mails.part.stop());

    const publicUrl = given("PUBLIC_URL") ?? edgeUrl;
    const cookies = { SECURE_COOKIES: given("SECURE_COOKIES") ?? "false" }; // Here is no TLS.
    const auth = await start("auth", {
      SMTP_URL: mails?.smtp ?? given("SMTP_URL") ?? "",
      PUBLIC_URL: publicUrl,
      REDIS_URI: parts.redisUrl,
      SEALING_KEY: given("SEALING_KEY") ?? secret("sealing"),
      REFRESH_KEY: given("REFRESH_KEY") ?? secret("refresh"),
      ...cookies,
    });
    const tokens = {
      JWKS_URI: `http://${auth[0]?.http}/.well-known/jwks.json`,
      REDIS_URI: parts.redisUrl,
      ...cookies,
    };
    const [tickets, orders, payments, expiration, web] = await Promise.all([
      start("tickets", tokens),
      start("orders", { ...tokens, ...amongOurselves() }),
      start("payments", {
        ...tokens,
        PUBLIC_URL: publicUrl,
        STRIPE_KEY: key,
        STRIPE_WEBHOOK_SECRET: webhookSecret,
        ...(stripe ? { STRIPE_API_BASE: stripe.url } : {}),
      }),
      start("expiration", {}),
      startWeb(options, { EDGE_URL: edgeUrl, ...cookies }),
    ]);
    stops.push(() => web.part.stop());

    const upstream = (list: readonly Instance[]) => ({
      rpc: list.map(({ rpc }) => rpc),
      http: list.map(({ http }) => http),
    });
    const edge = await startEdge({
      envoy: tools.envoy,
      dir: join(dir, "edge"),
      port,
      env: ownerVariables(dir),
      log,
      variables: cookies,
      upstreams: {
        auth: upstream(auth),
        tickets: upstream(tickets),
        orders: upstream(orders),
        payments: upstream(payments),
        web: [new URL(web.url).host],
      },
    });
    stops.push(() => edge.stop());
    const instances = { auth, tickets, orders, payments, expiration };
    const { mongo, rabbit, redis } = parts;
    const ours = [mongo, rabbit, redis, stripe?.part, mails?.part, web.part, edge];
    const processes = [
      ...ours.filter((part) => part !== undefined),
      ...Object.values(instances).flat(),
    ];
    if (options.supervised) stops.push(supervise(processes, { log }));
    return {
      ...{ url: edge.url, edge, parts, instances, processes, stop },
      stripe: { url: stripe?.url, key, process: stripe?.part },
      ...{ mailbox: mails?.url, smtp: mails?.smtp, web: web.url },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
