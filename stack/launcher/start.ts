import { join } from "node:path";
import { buildWeb } from "./web-build.ts";
import { assertUnclaimed, openSecrets, servicesWithDatabase } from "#stack/parts";
import { isForConsole, formatLogLine } from "./log-format.ts";
import { isShuttingDown } from "#stack/process";
import { writeRunning, stackDir, removeRunning } from "./running.ts";
import { startSystem, type System } from "./system.ts";

// `npm start`: the whole marketplace on this machine, with real parts, until Ctrl-C.

const begun = performance.now();
const holdSeconds = Number(process.env["ORDER_HOLD_SECONDS"] || 900);
let up = false;

function table(system: System): string {
  const { parts, stripe, mailbox, edge, instances } = system;
  const management = parts.rabbit?.management;
  const rows: [string, string][] = [
    ["Storefront", system.url],
    ["REST", `${system.url}/api/tickets`],
    ["Connect, gRPC", `${system.url}/ticketing.tickets.v1.TicketService/ListTickets`],
    ["Public keys", `${system.url}/.well-known/jwks.json`],
    ["Envoy admin", edge.adminUrl],
    ["Stripe", stripe.url ?? "the real one, by STRIPE_KEY"],
    ["Mailbox", mailbox ?? "mails go out, by SMTP_URL"],
    ...(management ? [["RabbitMQ", management.url] as [string, string]] : []),
    ...Object.entries(instances).map(
      ([name, list]) =>
        [name, list.map(({ rpc, http }) => `rpc ${rpc}, http ${http}`).join("; ")] as [
          string,
          string,
        ],
    ),
    ["Logs and data", stackDir],
  ];
  return rows.map(([name, where]) => `  ${name.padEnd(14)} ${where}`).join("\n");
}

async function start(): Promise<System> {
  assertUnclaimed(stackDir); // Before the storefront is built anew under somebody's feet.
  await buildWeb(console.log);
  const system = await startSystem({
    dir: stackDir,
    port: Number(process.env["EDGE_PORT"] || 8080),
    env: { ORDER_HOLD_SECONDS: String(holdSeconds) },
    supervised: true,
    onLine: (name, line) => {
      if (up && isForConsole(name, line)) console.log(formatLogLine(name, line));
    },
  });
  const { rabbit, amqpUrl, mongoUrl } = system.parts;
  writeRunning({
    url: system.url,
    dir: stackDir,
    pid: process.pid,
    holdSeconds,
    amqp: rabbit?.adminUrl ?? amqpUrl("orders"),
    ...(rabbit ? { management: rabbit.management } : {}),
    sealingKey:
      process.env["SEALING_KEY"] || openSecrets(join(stackDir, "services.json"))("sealing"),
    stripe: { url: system.stripe.url, key: system.stripe.key },
    databases: Object.fromEntries(servicesWithDatabase.map((name) => [name, mongoUrl(name)])),
  });
  return system;
}

/** What went wrong, in a line: the way there through this code helps nobody. */
function give(error: unknown): never | Promise<never> {
  // Told to end, we ended what others waited for; process.ts ends us too.
  if (isShuttingDown()) return new Promise(() => {});
  console.error(`It could not be started: ${(error as Error).message}`);
  process.exit(1);
}

const system = await start().catch(give);
up = true;
const seconds = ((performance.now() - begun) / 1000).toFixed(1);
console.log(
  `\nReady in ${seconds} s. Ctrl-C stops everything; the data stays.\n\n${table(system)}\n`,
);

let stopping = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    up = false;
    removeRunning();
    console.log("\nStopping ...");
    void system.stop().then(() => process.exit(0));
  });
}
