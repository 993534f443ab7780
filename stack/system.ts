import { join } from "node:path";
import { catalogue } from "#catalogue";
import { marked } from "./claim.ts";
import { stores } from "./databases.ts";
import { startEdge, type Edge } from "./edge.ts";
import type { Part } from "./part.ts";
import { startParts, type Parts } from "./parts.ts";
import { portOr } from "./ports.ts";
import { openSecrets } from "./secrets.ts";
import { noTls, startMailbox, startStripe, startWeb } from "./servers.ts";
import { startInstance, type Instance } from "./service.ts";
import { supervise } from "./supervisor.ts";
import { ensureTools } from "./tools.ts";

/** Those that store something, and the one that does not. */
export const services = [...stores, "expiration"] as const;
export type ServiceName = (typeof services)[number];

export interface SystemOptions {
  /** Where all data, logs and secrets lie; they are found again at the next start. */
  readonly dir: string;
  /** The edge's port; any free one where it is not given or not free. */
  readonly port?: number;
  /** How many of each service; one if not said. */
  readonly instances?: number;
  /** Variables for all services: shorter holds, higher limits. */
  readonly env?: Readonly<Record<string, string>>;
  /** Leads each service to the broker by another way, which a test can cut. */
  readonly toBroker?: (service: ServiceName, url: string) => Promise<string>;
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

/**
 * On one machine all come from one address, and people who try things out make accounts by the dozen:
 * neither is a crowd, unless the environment asks for the rules of decision 28.
 */
const { env: own } = process;
const amongOurselves = {
  REQUIRE_CONFIRMED_EMAIL: own["REQUIRE_CONFIRMED_EMAIL"] ?? "false",
  MAX_HOLDS_PER_NETWORK: own["MAX_HOLDS_PER_NETWORK"] ?? "100000",
  MAX_OPEN_ORDERS_NEW: own["MAX_OPEN_ORDERS_NEW"] ?? "100000",
};

/** Starts everything: the real parts, a local Stripe, every service, the storefront and the edge. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { dir, instances: count = 1, log = console.log, onLine } = options;
  const tools = await ensureTools(["envoy"], log);
  const parts = await startParts({
    dir,
    services: [...services],
    databases: [...stores],
    rights: catalogue,
    log,
  });
  const stops: (() => Promise<void>)[] = [() => parts.stop()];

  async function stop(): Promise<void> {
    for (const end of stops.splice(0).reverse()) await end();
  }

  async function start(service: ServiceName, env: Record<string, string>): Promise<Instance[]> {
    const store = (stores as readonly string[]).includes(service);
    const direct = parts.amqpUrl(service);
    const broker = (await options.toBroker?.(service, direct)) ?? direct;
    const one = (n: number): Promise<Instance> => {
      const name = count === 1 ? service : `${service}-${n}`;
      return startInstance({
        name,
        service,
        env: {
          ...marked(dir),
          AMQP_URI: broker,
          SHUTDOWN_DRAIN_SECONDS: "0", // When all stops, the edge does first.
          ...(store ? { MONGODB_URI: parts.mongoUrl(service) } : {}),
          ...env,
          ...options.env,
        },
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
    const port = await portOr(options.port, "The edge", log);
    const edgeUrl = `http://127.0.0.1:${port}`;
    const key = process.env["STRIPE_KEY"] ?? `sk_test_${secret("stripe")}`;
    const webhookSecret = process.env["STRIPE_WEBHOOK_SECRET"] ?? `whsec_${secret("webhook")}`;
    const stripe = process.env["STRIPE_KEY"]
      ? undefined
      : await startStripe(options, { key, webhookSecret, edgeUrl });
    if (stripe) stops.push(() => stripe.part.stop());

    const mails = process.env["SMTP_URL"] ? undefined : await startMailbox(options);
    if (mails) stops.push(() => mails.part.stop());

    const publicUrl = process.env["PUBLIC_URL"] ?? edgeUrl;
    const auth = await start("auth", {
      SMTP_URL: mails?.smtp ?? process.env["SMTP_URL"] ?? "",
      PUBLIC_URL: publicUrl,
      REDIS_URI: parts.redisUrl,
      SEALING_KEY: secret("sealing"),
      REFRESH_KEY: secret("refresh"),
      ...noTls,
    });
    const tokens = {
      JWKS_URI: `http://${auth[0]?.http}/.well-known/jwks.json`,
      REDIS_URI: parts.redisUrl,
      ...noTls,
    };
    const [tickets, orders, payments, expiration, web] = await Promise.all([
      start("tickets", tokens),
      start("orders", { ...tokens, ...amongOurselves }),
      start("payments", {
        ...tokens,
        PUBLIC_URL: publicUrl,
        STRIPE_KEY: key,
        STRIPE_WEBHOOK_SECRET: webhookSecret,
        ...(stripe ? { STRIPE_API_BASE: stripe.url } : {}),
      }),
      start("expiration", {}),
      startWeb(options, edgeUrl),
    ]);
    stops.push(() => web.part.stop());

    const addresses = (list: readonly Instance[]) => ({
      rpc: list.map(({ rpc }) => rpc),
      http: list.map(({ http }) => http),
    });
    const edge = await startEdge({
      envoy: tools.envoy,
      dir: join(dir, "edge"),
      port,
      env: marked(dir),
      log,
      variables: noTls,
      upstreams: {
        auth: addresses(auth),
        tickets: addresses(tickets),
        orders: addresses(orders),
        payments: addresses(payments),
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
