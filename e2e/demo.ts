import { mkdtemp, rm } from "node:fs/promises";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import { TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { buildWeb, findRunning, formatLogLine, startSystem } from "#stack/launcher";
import { until } from "#stack/process";
import {
  buy,
  holdEndOf,
  listTicket,
  fetchOrder,
  pay,
  signUp,
  fetchTicket,
  type Person,
} from "./testing/person.ts";
import { toRpcError } from "./testing/rpc-error.ts";

// `npm run demo`: runs the two flows of the marketplace with real clients, and prints each step.

/** A marketplace for the demo, with the folder of its services' logs. */
interface Stage {
  url: string;
  logs: string;
  holdSeconds: number;
  close(): Promise<void>;
}

const OWN_HOLD_SECONDS = 15;
/** If holds are longer, the expiry flow runs in a marketplace of its own. */
const LONGEST_WATCH_SECONDS = 60;

async function ownStage(): Promise<Stage> {
  say(`Starting a marketplace of my own, with holds of ${OWN_HOLD_SECONDS} s ...`);
  const dir = await mkdtemp(join(tmpdir(), "ticketing-demo-"));
  const quiet = (): void => undefined;
  await buildWeb(quiet);
  const env = { ORDER_HOLD_SECONDS: String(OWN_HOLD_SECONDS) };
  const system = await startSystem({ dir, env, log: quiet, supervised: true });
  return {
    url: system.url,
    logs: join(dir, "logs"),
    holdSeconds: OWN_HOLD_SECONDS,
    async close() {
      await system.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function runningStage(): Promise<Stage | undefined> {
  const running = await findRunning();
  if (!running) return undefined;
  say(`Playing on the marketplace that is running at ${running.url}.`);
  const { url, dir, holdSeconds } = running;
  return { url, logs: join(dir, "logs"), holdSeconds, close: () => Promise.resolve() };
}

const say = (line: string): void => console.log(line);

let watch: Watch | undefined;

/** Prints the remaining events of the previous step, and then the title of the next one. */
async function step(line: string): Promise<void> {
  await watch?.settled();
  say(`\n▸ ${line}`);
}

/** Prints the events that the services log, each line as its service wrote it. */
interface Watch {
  /** Resolves when no more events are logged. */
  settled(): Promise<void>;
}

const QUIET_MS = 400;

function watchEvents(logs: string): Watch {
  const read = new Map<string, number>();
  const files = () =>
    existsSync(logs) ? readdirSync(logs).filter((name) => name.endsWith(".log")) : [];
  for (const file of files()) read.set(file, statSync(join(logs, file)).size);

  /** Prints the new events in the order of their time. Returns whether there were any. */
  function printNew(): boolean {
    const lines: { time: string; line: string }[] = [];
    for (const file of files()) {
      const bytes = readFileSync(join(logs, file));
      const end = bytes.lastIndexOf("\n") + 1;
      const fresh = bytes.subarray(read.get(file) ?? 0, end).toString();
      read.set(file, end);
      for (const line of fresh.split("\n").filter((text) => text.includes('"event":"'))) {
        const { time } = JSON.parse(line) as { time: string };
        lines.push({ time, line: formatLogLine(file.replace(/\.log$/, ""), line) });
      }
    }
    for (const { line } of lines.sort((a, b) => a.time.localeCompare(b.time))) say(`    ${line}`);
    return lines.length > 0;
  }

  return {
    async settled() {
      do await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      while (printNew());
    },
  };
}

async function rejectionOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(() => undefined, toRpcError);
  if (!error) throw new Error("the call succeeded");
  return `${error.reason}: ${error.message}`;
}

const ticketBecomes = (reader: Person, ticket: Ticket, status: TicketStatus, seconds: number) =>
  until(async () => (await fetchTicket(reader, ticket)).status === status, {
    what: `the ticket to change`,
    timeoutMs: seconds * 1000,
    everyMs: 100,
  });

async function playSuccess({ url }: Stage): Promise<void> {
  say("\nTHE SUCCESS FLOW");
  await step("Three people sign up: a seller, a buyer, and one who comes too late.");
  const names = ["seller", "buyer", "latecomer"] as const;
  const [seller, buyer, late] = await Promise.all(names.map((name) => signUp(url, name)));
  if (!seller || !buyer || !late) throw new Error("an account is missing");
  await step("The seller lists a ticket for 25.50 EUR.");
  const ticket = await listTicket(seller, "Front row, one seat");
  await step("The buyer presses Buy: the ticket is locked.");
  const order = await buy(buyer, ticket);
  say(`  held until ${holdEndOf(order).toISOString()}`);
  await ticketBecomes(buyer, ticket, TicketStatus.HELD, 10);
  await step("The latecomer presses Buy, and the seller tries to raise the price.");
  say(`  latecomer rejected, ${await rejectionOf(buy(late, ticket))}`);
  const dearer = { id: ticket.id, title: ticket.title, price: { currencyCode: "EUR", units: 99n } };
  say(`  seller rejected, ${await rejectionOf(seller.tickets.updateTicket(dearer))}`);
  await step("The buyer pays; the money is reserved, the order accepts it, then it is taken.");
  await pay(buyer, order);
  await ticketBecomes(buyer, ticket, TicketStatus.SOLD, 20);
  const { status } = await fetchOrder(buyer, order);
  say(
    `  the ticket is sold, and the order is ${status === OrderStatus.COMPLETED ? "completed" : status}`,
  );
}

async function playExpiry({ url, holdSeconds }: Stage): Promise<void> {
  say("\nTHE EXPIRY FLOW");
  const [seller, buyer, next] = await Promise.all(
    ["seller", "buyer", "next"].map((name) => signUp(url, name)),
  );
  if (!seller || !buyer || !next) throw new Error("an account is missing");
  const ticket = await listTicket(seller, "Balcony, one seat");
  await step("A buyer presses Buy and walks away.");
  const order = await buy(buyer, ticket);
  await ticketBecomes(buyer, ticket, TicketStatus.HELD, 10);
  await step(`The hold runs for ${holdSeconds} s. The broker delays the timer event.`);
  await ticketBecomes(buyer, ticket, TicketStatus.ON_SALE, holdSeconds + 60);
  const late = Date.now() - holdEndOf(order).getTime();
  say(
    `  the ticket has unlocked by itself, ${(late / 1000).toFixed(1)} s after the end of the hold`,
  );
  await step("Another buyer can buy it now.");
  const again = await buy(next, await fetchTicket(next, ticket));
  say(`  held by another order, the ticket's hold number ${again.holdNumber}`);
  await next.orders.cancelOrder({ id: again.id });
}

async function play(stage: Stage, flow: (stage: Stage) => Promise<void>): Promise<void> {
  watch = watchEvents(stage.logs);
  await flow(stage);
  await watch.settled();
}

const stage = (await runningStage()) ?? (await ownStage());
try {
  await play(stage, playSuccess);
  if (stage.holdSeconds <= LONGEST_WATCH_SECONDS) await play(stage, playExpiry);
  else {
    say(`\nThis marketplace holds tickets for ${stage.holdSeconds} s, which is long to watch.`);
    const short = await ownStage();
    await play(short, playExpiry).finally(() => short.close());
  }
  say("\nBoth flows ended as they must.");
} finally {
  await stage.close();
}
process.exit(0);
