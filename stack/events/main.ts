import { parseArgs } from "node:util";
import type { ConfirmChannel } from "amqplib";
import { deadTable, listDead } from "./dead-letter-list.ts";
import { mustBeService, services } from "./dead-letters.ts";
import { replay } from "./replay.ts";
import { readOutboxes, readStats, statsTable, withoutBroker, type Stats } from "./stats.ts";
import { json as toJson, safe, shortType } from "./payload.ts";
import { tail } from "./tail.ts";
import { findBroker, Trouble, withBroker, type Where } from "./broker.ts";

// `npm run events`: for the people who look after it. docs/operations.md explains what one sees.

const help = `npm run events -- <command>

  tail [--type GLOB]... [--id ID]... [--json]   every event, as it happens
  dead [SERVICE] [--limit 100] [--json]         what the services could not handle, and why
  replay SERVICE [--id ID]...                   sends its dead letters to it again; all, without --id
  stats [--json]                                queues, dead letters and outboxes in numbers

  --type  an event's name, short or full, with * for anything: 'Order*'
  --id    for tail: an id in the event, or the end of one; for replay: the ID that dead shows

It looks at the marketplace that npm start runs from this folder. For another, give AMQP_URI, and for
stats MONGODB_URI and RABBITMQ_MANAGEMENT_URI too, as .env.example says.`;

const print = (line: string): void => console.log(line);
/** For the person, not for the pipe. */
const note = (line: string): void => console.error(line);

const options = {
  type: { type: "string", multiple: true, default: [] as string[] },
  id: { type: "string", multiple: true, default: [] as string[] },
  limit: { type: "string", default: "100" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

function read(args: string[]) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new Trouble(`${(error as Error).message}\n\n${help}`, 2);
  }
}
type Values = ReturnType<typeof read>["values"];

const withChannel = <T>(where: Where, work: (channel: ConfirmChannel) => Promise<T>): Promise<T> =>
  withBroker(where.amqp, async (connection) => {
    const channel = await connection.createConfirmChannel();
    channel.on("error", () => undefined);
    // Closed before its connection: that would overtake the last acknowledgements.
    return work(channel).finally(() => channel.close().catch(() => undefined));
  });

async function runTail(where: Where, { type, id, json }: Values): Promise<void> {
  // Whoever reads that it watches may tell it to end at once.
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  let stop: (() => Promise<void>) | undefined = undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => (stop ? tell() : process.exit()));
  }
  stop = await tail(where.amqp, { types: type, ids: id, json }, { print, note });
  await told;
  await stop();
}

async function runDead(where: Where, { limit, json }: Values, service?: string): Promise<void> {
  const most = Number(limit);
  if (!Number.isInteger(most) || most < 1) throw new Trouble("--limit is a number from 1 on.", 2);
  const asked = service === undefined ? services : [mustBeService(service)];
  const { letters, more } = await withChannel(where, (channel) => listDead(channel, asked, most));
  if (json) for (const letter of letters) print(toJson(letter));
  else if (letters.length > 0) print(deadTable(letters));
  else note("No dead letters.");
  if (more > 0) note(`… and ${more} more; --limit shows them.`);
}

async function runReplay(where: Where, { id }: Values, service?: string): Promise<void> {
  if (service === undefined) throw new Trouble("Replay what? Name the service.", 2);
  mustBeService(service);
  const found = new Set<string>();
  const sent = await withChannel(where, (channel) =>
    replay(channel, service, id, (letter) => {
      found.add(letter.id);
      print(`replayed ${safe(letter.id) || "-"} ${shortType(letter.type)} ${safe(letter.subject)}`);
    }),
  );
  note(
    sent === 0
      ? `Nothing to send to ${service}.`
      : `${sent} sent to ${service} again; what fails once more comes back to dead.`,
  );
  const missing = id.filter((one) => !found.has(one));
  if (missing.length > 0) {
    throw new Trouble(`No dead letter of ${service} has the id ${missing.join(", ")}.`);
  }
}

async function runStats(where: Where, { json }: Values): Promise<void> {
  const show = (stats: Stats): void => print(json ? toJson(stats) : statsTable(stats));
  const outboxes = await readOutboxes(where);
  try {
    show(await withBroker(where.amqp, (connection) => readStats(connection, where, outboxes)));
  } catch (error) {
    // It is now that the outboxes fill.
    if (outboxes.size > 0) show(withoutBroker(outboxes));
    throw error;
  }
}

const commands = { tail: runTail, dead: runDead, replay: runReplay, stats: runStats } as const;

async function run(args: string[]): Promise<void> {
  const { values, positionals } = read(args);
  const [name, service, ...rest] = positionals;
  if (values.help || name === "help") return print(help);
  const command = Object.entries(commands).find(([each]) => each === name)?.[1];
  if (!command) throw new Trouble(name ? `No command "${name}".\n\n${help}` : help, 2);
  const isTooMuch = command.length < 3 ? service !== undefined : rest.length > 0;
  if (isTooMuch) throw new Trouble(`Too many words after "${name}".\n\n${help}`, 2);
  await command(await findBroker(process.env), values, service);
}

// Whoever reads us may have had enough: `npm run events -- tail | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

try {
  await run(process.argv.slice(2));
  process.exitCode = 0;
} catch (error) {
  note(error instanceof Trouble ? error.message : String((error as Error).stack));
  process.exitCode = error instanceof Trouble ? error.exitCode : 1;
}
