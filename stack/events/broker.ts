import { connect, type ChannelModel, type ConfirmChannel } from "amqplib";
import { findRunning } from "#stack/launcher";
import { servicesWithDatabase, withDatabase, type Management } from "#stack/parts";
import { CliError } from "./cli-error.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const EXAMPLE_URL = "amqp://user:password@host:5672/vhost";

/** The broker to read, with the other addresses that `stats` needs. */
export interface BrokerTarget {
  readonly amqp: string;
  readonly management: Management | undefined;
  /** The URLs of the databases by service. */
  readonly databases: Readonly<Record<string, string>>;
}

/** The broker in the environment, or that of the marketplace that runs from this folder. */
export async function findBroker(env: NodeJS.ProcessEnv): Promise<BrokerTarget> {
  const { AMQP_URI: amqp, RABBITMQ_MANAGEMENT_URI: management, MONGODB_URI: mongo } = env;
  if (amqp) {
    const databases = mongo
      ? servicesWithDatabase.map((name) => [name, withDatabase(mongo, name)])
      : [];
    return {
      amqp,
      management: management ? parseManagementUrl(management) : undefined,
      databases: Object.fromEntries(databases) as Record<string, string>,
    };
  }
  const running = await findRunning();
  if (running) return { ...running, management: running.management };
  throw new CliError(
    `No marketplace runs from this folder. Run npm start, or set AMQP_URI (${EXAMPLE_URL}).`,
  );
}

function parseManagementUrl(uri: string): Management {
  if (!URL.canParse(uri)) {
    const example = "http://user:password@host:15672";
    throw new CliError(`RABBITMQ_MANAGEMENT_URI is not a URL (${example}).`);
  }
  const { origin, pathname, username, password } = new URL(uri);
  return {
    url: `${origin}${pathname.replace(/\/$/, "")}`,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  };
}

/** The virtual host in the URL of a broker. */
export const vhostOf = (amqp: string): string =>
  decodeURIComponent(new URL(amqp).pathname.slice(1)) || "/";

/** Turns a failed connection into a message that names the cause, without the password. */
export function connectionError(amqp: string, error: unknown): CliError {
  if (!URL.canParse(amqp)) return new CliError(`AMQP_URI is not a URL (${EXAMPLE_URL}).`);
  const { code, message } = error as NodeJS.ErrnoException;
  const { host } = new URL(amqp);
  if (/ACCESS.REFUSED/.test(message)) {
    return new CliError(`The broker at ${host} rejected the user or password in AMQP_URI.`);
  }
  if (message.startsWith("Expected ConnectionOpenOk")) {
    const vhost = vhostOf(amqp);
    return new CliError(`The broker at ${host} has no virtual host "${vhost}" for this user.`);
  }
  return new CliError(`Cannot connect to the broker at ${host} (${code ?? message}).`);
}

/** Runs `work` on a connection of its own. */
export async function withBroker<T>(
  amqp: string,
  work: (connection: ChannelModel) => Promise<T>,
): Promise<T> {
  const connection = await connect(amqp, {
    clientProperties: { connection_name: "events" },
    timeout: CONNECT_TIMEOUT_MS,
  }).catch((error: unknown) => {
    throw connectionError(amqp, error);
  });
  connection.on("error", () => undefined);
  const closed = new Promise<never>((_, reject) => {
    connection.once("close", () =>
      reject(new CliError("Lost the connection to the broker. Try again.")),
    );
  });
  try {
    return await Promise.race([work(connection), closed]);
  } finally {
    await connection.close().catch(() => undefined);
  }
}

/** Runs `work` on a channel of its own. */
export function withChannel<T>(
  amqp: string,
  work: (channel: ConfirmChannel) => Promise<T>,
): Promise<T> {
  return withBroker(amqp, async (connection) => {
    const channel = await connection.createConfirmChannel();
    channel.on("error", () => undefined);
    // Closed before its connection, which would otherwise overtake the last acknowledgements.
    return work(channel).finally(() => channel.close().catch(() => undefined));
  });
}
