import { join } from "node:path";
import { catalogue } from "#marketplace/catalogue.ts";
import {
  claim,
  openSecrets,
  ownerVariables,
  servicesWithDatabase,
  startParts,
  type Part,
  type Parts,
} from "#stack/parts";
import { preferredPort } from "#stack/process";
import { ensureTools } from "#stack/tools";
import { startEdge, type Edge, type Upstreams } from "./edge.ts";
import type { Instance } from "./instance.ts";
import { startMailbox, startStripe, startWeb, type LocalServer } from "./local-servers.ts";
import {
  fromEnvironment,
  hasDatabase,
  services,
  startService,
  type ServiceName,
  type ServiceOptions,
  type Variables,
} from "./services.ts";
import { supervise } from "./supervisor.ts";

export interface SystemOptions extends ServiceOptions {
  /** The preferred port of the edge. Another free port is used if it is missing or in use. */
  readonly port?: number;
  /** Restarts processes that end by themselves, and logs that. */
  readonly supervised?: boolean;
  /** Enables the test API of the local Stripe. */
  readonly test?: boolean;
  /** Receives the messages of the start itself. */
  readonly log?: (line: string) => void;
}

type Instances = Readonly<Record<ServiceName, readonly Instance[]>>;

/** The whole marketplace, running on this machine. */
export interface System {
  readonly url: string;
  readonly edge: Edge;
  readonly parts: Parts;
  readonly instances: Instances;
  /** Stripe's address and key. With a key of the real Stripe there is no address and no process. */
  readonly stripe: { url: string | undefined; key: string; process: Part | undefined };
  /** The mailbox's page and SMTP address, or undefined if SMTP_URL names a real server. */
  readonly mailbox: string | undefined;
  readonly smtp: string | undefined;
  /** The storefront's server behind the edge. */
  readonly web: string;
  /** Every process of this start, including the parts. */
  readonly processes: readonly (Part | Instance)[];
  stop(): Promise<void>;
}

/** Starts the parts, a local Stripe, a mailbox, every service, the storefront and the edge. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const cleanup = new AsyncDisposableStack();
  try {
    return await startAll(options, cleanup);
  } catch (error) {
    await cleanup.disposeAsync();
    throw error;
  }
}

async function startAll(options: SystemOptions, cleanup: AsyncDisposableStack): Promise<System> {
  const { dir, log = console.log } = options;
  const { envoy } = await ensureTools(["envoy"], log);
  cleanup.defer(await claim(dir, log));
  const settings = await readSettings(options);
  // RabbitMQ takes the longest to start. What does not need it starts beside it.
  const [parts, stripe, mailbox] = await allStarted([
    startAllParts(options, cleanup),
    settings.isLocalStripe ? stoppable(startStripe(options, settings), cleanup) : undefined,
    settings.smtpUrl ? undefined : stoppable(startMailbox(options), cleanup),
  ]);

  const context = { options, parts, settings, stripeUrl: stripe?.url, smtpUrl: mailbox?.smtp };
  const { instances, web } = await startServices(context, cleanup);
  const edge = await startEdge({
    envoy,
    dir: join(dir, "edge"),
    port: settings.port,
    env: ownerVariables(dir),
    log,
    variables: settings.cookies,
    upstreams: upstreams(instances, web),
  });
  cleanup.defer(() => edge.stop());

  const servers = [parts.mongo, parts.rabbit, parts.redis, stripe?.part, mailbox?.part, web.part];
  const processes = [
    ...servers.filter((server) => server !== undefined),
    edge,
    ...Object.values(instances).flat(),
  ];
  if (options.supervised) cleanup.defer(supervise(processes, { log }));
  return {
    url: edge.url,
    edge,
    parts,
    instances,
    processes,
    stripe: { url: stripe?.url, key: settings.key, process: stripe?.part },
    mailbox: mailbox?.url,
    smtp: mailbox?.smtp,
    web: web.url,
    stop: () => cleanup.disposeAsync(),
  };
}

/** Resolves when all have started. If one fails, the others are waited for, so that they can be stopped. */
async function allStarted<T extends readonly unknown[]>(starting: readonly [...T]) {
  await Promise.allSettled(starting);
  return Promise.all(starting);
}

/** Stops a server with the system. */
async function stoppable<T extends LocalServer>(
  starting: Promise<T>,
  cleanup: AsyncDisposableStack,
): Promise<T> {
  const server = await starting;
  cleanup.defer(() => server.part.stop());
  return server;
}

async function startAllParts(
  { dir, log }: SystemOptions,
  cleanup: AsyncDisposableStack,
): Promise<Parts> {
  const parts = await startParts({
    dir,
    isClaimed: true,
    services: [...services],
    databases: [...servicesWithDatabase],
    rights: catalogue,
    ...(log && { log }),
  });
  cleanup.defer(() => parts.stop());
  return parts;
}

/** What the environment sets, and otherwise the defaults and stored secrets of this machine. */
async function readSettings({ dir, port: wanted, log = console.log }: SystemOptions) {
  const secret = openSecrets(join(dir, "services.json"));
  const port = await preferredPort(wanted, "The edge", log);
  const edgeUrl = `http://127.0.0.1:${port}`;
  return {
    port,
    edgeUrl,
    publicUrl: fromEnvironment("PUBLIC_URL") ?? edgeUrl,
    isLocalStripe: !fromEnvironment("STRIPE_KEY"),
    key: fromEnvironment("STRIPE_KEY") ?? `sk_test_${secret("stripe")}`,
    webhookSecret: fromEnvironment("STRIPE_WEBHOOK_SECRET") ?? `whsec_${secret("webhook")}`,
    smtpUrl: fromEnvironment("SMTP_URL"),
    sealingKey: fromEnvironment("SEALING_KEY") ?? secret("sealing"),
    refreshKey: fromEnvironment("REFRESH_KEY") ?? secret("refresh"),
    // There is no TLS on this machine.
    cookies: { SECURE_COOKIES: fromEnvironment("SECURE_COOKIES") ?? "false" },
  };
}

interface Context {
  readonly options: SystemOptions;
  readonly parts: Parts;
  readonly settings: Awaited<ReturnType<typeof readSettings>>;
  /** The address of the local Stripe, if it is used. */
  readonly stripeUrl: string | undefined;
  /** The address of the mailbox, if it is used. */
  readonly smtpUrl: string | undefined;
}

/** Starts auth first, whose address the other services need, then all others and the storefront. */
async function startServices(
  context: Context,
  cleanup: AsyncDisposableStack,
): Promise<{ instances: Instances; web: LocalServer }> {
  const { options, parts, settings } = context;
  const start = async (service: ServiceName, variables: Variables): Promise<Instance[]> => {
    const started = await startService(service, options, parts, variables);
    cleanup.defer(async () => void (await Promise.all(started.map((one) => one.stop()))));
    return started;
  };
  const auth = await start("auth", authVariables(context));
  const tokens = {
    JWKS_URI: `http://${auth[0]?.http}/.well-known/jwks.json`,
    REDIS_URI: parts.redisUrl,
    ...settings.cookies,
  };
  const own: Readonly<Partial<Record<ServiceName, Variables>>> = {
    orders: localLimits(),
    payments: paymentsVariables(context),
  };
  const others = services.filter((name) => name !== "auth");
  const instances: Partial<Record<ServiceName, readonly Instance[]>> = { auth };
  const starting = others.map(async (name) => {
    instances[name] = await start(name, { ...(hasDatabase(name) ? tokens : {}), ...own[name] });
  });
  const forWeb = { EDGE_URL: settings.edgeUrl, ...settings.cookies };
  const [web] = await allStarted([stoppable(startWeb(options, forWeb), cleanup), ...starting]);
  return { instances: instances as Instances, web };
}

const authVariables = ({ parts, settings, smtpUrl }: Context): Variables => ({
  SMTP_URL: smtpUrl ?? settings.smtpUrl ?? "",
  PUBLIC_URL: settings.publicUrl,
  REDIS_URI: parts.redisUrl,
  SEALING_KEY: settings.sealingKey,
  REFRESH_KEY: settings.refreshKey,
  ...settings.cookies,
});

const paymentsVariables = ({ settings, stripeUrl }: Context): Variables => ({
  PUBLIC_URL: settings.publicUrl,
  STRIPE_KEY: settings.key,
  STRIPE_WEBHOOK_SECRET: settings.webhookSecret,
  ...(stripeUrl ? { STRIPE_API_BASE: stripeUrl } : {}),
});

/**
 * The limits of decision 28, raised unless the environment sets them: on one machine all users share
 * an address, and a developer creates many accounts.
 */
const localLimits = (): Variables => ({
  REQUIRE_CONFIRMED_EMAIL: fromEnvironment("REQUIRE_CONFIRMED_EMAIL") ?? "false",
  MAX_HOLDS_PER_NETWORK: fromEnvironment("MAX_HOLDS_PER_NETWORK") ?? "100000",
  MAX_OPEN_ORDERS_NEW: fromEnvironment("MAX_OPEN_ORDERS_NEW") ?? "100000",
});

function upstreams(services: Instances, web: LocalServer): Upstreams {
  const addresses = (instances: readonly Instance[]) => ({
    rpc: instances.map(({ rpc }) => rpc),
    http: instances.map(({ http }) => http),
  });
  const byName = servicesWithDatabase.map((name) => [name, addresses(services[name])]);
  return { ...Object.fromEntries(byName), web: [new URL(web.url).host] } as Upstreams;
}
