import type { CommandName, CommandRequest } from "./arguments.ts";
import { withBroker, withChannel, type BrokerTarget } from "./broker.ts";
import { CliError, UsageError } from "./cli-error.ts";
import { assertService, consumers } from "./dead-letters/dead-letter.ts";
import { deadLetterTable, listDeadLetters } from "./dead-letters/list.ts";
import { replay } from "./dead-letters/replay.ts";
import { shortType } from "./registry.ts";
import { readOutboxes, readStats, statsTable, statsWithoutBroker, type Stats } from "./stats.ts";
import { tail } from "./tail.ts";
import { sanitize, toSafeJson } from "./terminal-text.ts";

/** Writes a result, for a person or a pipe. */
export const print = (line: string): void => console.log(line);
/** Writes a message for a person, which stays out of the pipe. */
export const note = (line: string): void => console.error(line);

type Command = (target: BrokerTarget, request: CommandRequest) => Promise<void>;

export const commands: Readonly<Record<CommandName, Command>> = {
  tail: runTail,
  dead: runDead,
  replay: runReplay,
  stats: runStats,
};

async function runTail(target: BrokerTarget, request: CommandRequest): Promise<void> {
  // A signal can arrive as soon as the command says that it is watching.
  const { promise: stopRequested, resolve: requestStop } = Promise.withResolvers<void>();
  let stop: (() => Promise<void>) | undefined = undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => (stop ? requestStop() : process.exit()));
  }
  stop = await tail(target.amqp, request, { print, note });
  await stopRequested;
  await stop();
}

async function runDead(
  target: BrokerTarget,
  { service, limit, json }: CommandRequest,
): Promise<void> {
  const max = Number(limit);
  if (!Number.isInteger(max) || max < 1)
    throw new UsageError("--limit must be a positive integer.");
  const services = service === undefined ? consumers : [assertService(service)];
  const { deadLetters, more } = await withChannel(target.amqp, (channel) =>
    listDeadLetters(channel, services, max),
  );
  if (json) for (const letter of deadLetters) print(toSafeJson(letter));
  else if (deadLetters.length > 0) print(deadLetterTable(deadLetters));
  else note("No dead letters.");
  if (more > 0) note(`${more} more not shown. Use --limit to show more.`);
}

async function runReplay(target: BrokerTarget, { service, ids }: CommandRequest): Promise<void> {
  if (service === undefined) throw new UsageError("replay requires a service.");
  assertService(service);
  const replayed = new Set<string>();
  const count = await withChannel(target.amqp, (channel) =>
    replay(channel, service, ids, ({ id, type, subject }) => {
      replayed.add(id);
      print(`replayed ${sanitize(id) || "-"} ${shortType(type)} ${sanitize(subject)}`);
    }),
  );
  note(
    count === 0
      ? `No dead letters to replay to ${service}.`
      : `Replayed ${count} to ${service}. An event that fails again becomes a dead letter again.`,
  );
  const missing = ids.filter((id) => !replayed.has(id));
  if (missing.length > 0) {
    throw new CliError(`${service} has no dead letter with ID ${missing.join(", ")}.`);
  }
}

async function runStats(target: BrokerTarget, { json }: CommandRequest): Promise<void> {
  const show = (stats: Stats): void => print(json ? toSafeJson(stats) : statsTable(stats));
  const outboxes = await readOutboxes(target);
  try {
    show(await withBroker(target.amqp, (connection) => readStats(connection, target, outboxes)));
  } catch (error) {
    // The outboxes grow while the broker is unreachable, so they matter most then.
    if (outboxes.size > 0) show(statsWithoutBroker(outboxes));
    throw error;
  }
}
