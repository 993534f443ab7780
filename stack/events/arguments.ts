import { parseArgs } from "node:util";
import { UsageError } from "./cli-error.ts";

const HELP = `npm run events -- <command>

  tail [--type GLOB]... [--id ID]... [--json]   shows every event as it is published
  dead [SERVICE] [--limit 100] [--json]         lists dead letters with their reasons
  replay SERVICE [--id ID]...                   sends dead letters to their service again
  stats [--json]                                counts queues, dead letters and outboxes

  --type  the short or full name of an event, with * as a wildcard: 'Order*'
  --id    for tail: an ID in the event, or the end of one
          for replay: the ID that dead shows; without --id, all dead letters of the service

Uses the marketplace that npm start runs from this folder. For another one, set AMQP_URI, and for
stats also MONGODB_URI and RABBITMQ_MANAGEMENT_URI (see .env.example).`;

const OPTIONS = {
  type: { type: "string", multiple: true, default: [] as string[] },
  id: { type: "string", multiple: true, default: [] as string[] },
  limit: { type: "string", default: "100" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** The commands, each with the number of arguments that it takes. */
const ARGUMENT_COUNTS = { tail: 0, dead: 1, replay: 1, stats: 0 } as const;

export type CommandName = keyof typeof ARGUMENT_COUNTS;

/** A command to run, with its arguments and options. */
export interface CommandRequest {
  readonly command: CommandName;
  readonly service: string | undefined;
  readonly types: readonly string[];
  readonly ids: readonly string[];
  readonly limit: string;
  readonly json: boolean;
}

export function parseArguments(args: string[]): CommandRequest | { help: string } {
  const { values, positionals } = parse(args);
  const [name, ...rest] = positionals;
  if (values.help || name === "help") return { help: HELP };
  if (!name) throw new UsageError(HELP);
  if (!isCommand(name)) throw new UsageError(`Unknown command "${name}".\n\n${HELP}`);
  if (rest.length > ARGUMENT_COUNTS[name]) {
    throw new UsageError(`Too many arguments for "${name}".\n\n${HELP}`);
  }
  const { type: types, id: ids, limit, json } = values;
  return { command: name, service: rest[0], types, ids, limit, json };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${HELP}`);
  }
}

const isCommand = (name: string): name is CommandName => Object.hasOwn(ARGUMENT_COUNTS, name);
