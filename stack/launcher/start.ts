import { join } from "node:path";
import { assertUnclaimed, openSecrets, servicesWithDatabase } from "#stack/parts";
import { isShuttingDown } from "#stack/process";
import { formatLogLine, isForConsole } from "./log-format.ts";
import { removeRunning, stackDir, writeRunning } from "./running.ts";
import { startSystem, type System } from "./system.ts";
import { buildWeb } from "./web-build.ts";

// `npm start`: the whole marketplace on this machine, with real parts, until Ctrl-C.

const DEFAULT_HOLD_SECONDS = 900;
const DEFAULT_PORT = 8080;
const holdSeconds = Number(process.env["ORDER_HOLD_SECONDS"] || DEFAULT_HOLD_SECONDS);

const startedAt = performance.now();
let isReady = false;
const system = await start().catch(fail);
isReady = true;
printSummary(system);
stopOnSignal(system);

async function start(): Promise<System> {
  // Fails before the build, which would replace the storefront of a running marketplace.
  assertUnclaimed(stackDir);
  await buildWeb(console.log);
  const started = await startSystem({
    dir: stackDir,
    port: Number(process.env["EDGE_PORT"] || DEFAULT_PORT),
    env: { ORDER_HOLD_SECONDS: String(holdSeconds) },
    supervised: true,
    onLine: (name, line) => {
      if (isReady && isForConsole(name, line)) console.log(formatLogLine(name, line));
    },
  });
  announce(started);
  return started;
}

/** Writes the addresses for `npm run events` and other commands. */
function announce({ url, stripe, parts }: System): void {
  const { rabbit, amqpUrl, mongoUrl } = parts;
  const secret = openSecrets(join(stackDir, "services.json"));
  writeRunning({
    url,
    dir: stackDir,
    pid: process.pid,
    holdSeconds,
    amqp: rabbit?.adminUrl ?? amqpUrl("orders"),
    ...(rabbit ? { management: rabbit.management } : {}),
    sealingKey: process.env["SEALING_KEY"] || secret("sealing"),
    stripe: { url: stripe.url, key: stripe.key },
    databases: Object.fromEntries(servicesWithDatabase.map((name) => [name, mongoUrl(name)])),
  });
}

/** Prints the error without its stack, which does not help a user. */
function fail(error: unknown): never | Promise<never> {
  // On Ctrl-C the start fails because its processes are stopped, and this process ends as well.
  if (isShuttingDown()) return new Promise(() => {});
  console.error(`Cannot start the marketplace: ${(error as Error).message}`);
  process.exit(1);
}

function printSummary(running: System): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const rows = addresses(running).map(([name, address]) => `  ${name.padEnd(14)} ${address}`);
  console.log(`\nReady in ${seconds} s. Press Ctrl-C to stop. The data is kept.\n`);
  console.log(`${rows.join("\n")}\n`);
}

function addresses({ url, parts, stripe, mailbox, edge, instances }: System): [string, string][] {
  const management = parts.rabbit?.management;
  return [
    ["Storefront", url],
    ["REST", `${url}/api/tickets`],
    ["Connect, gRPC", `${url}/ticketing.tickets.v1.TicketService/ListTickets`],
    ["Public keys", `${url}/.well-known/jwks.json`],
    ["Envoy admin", edge.adminUrl],
    ["Stripe", stripe.url ?? "the account of STRIPE_KEY"],
    ["Mailbox", mailbox ?? "none, emails are sent to SMTP_URL"],
    ...(management ? [["RabbitMQ", management.url] satisfies [string, string]] : []),
    ...Object.entries(instances).map(([name, list]): [string, string] => [
      name,
      list.map(({ rpc, http }) => `rpc ${rpc}, http ${http}`).join("; "),
    ]),
    ["Logs and data", stackDir],
  ];
}

function stopOnSignal(running: System): void {
  let isStopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (isStopping) return;
      isStopping = true;
      isReady = false;
      removeRunning();
      console.log("\nStopping ...");
      void running.stop().then(() => process.exit(0));
    });
  }
}
