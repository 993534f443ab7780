import { connect, type ChannelModel } from "amqplib";
import { withDatabase, type Management, servicesWithDatabase } from "#stack/parts";
import { findRunning } from "#stack/launcher";

/** What a person did wrong, or what is missing, in words for them. */
export class Trouble extends Error {
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The broker to look at, and what else helps to see. */
export interface Where {
  readonly amqp: string;
  readonly management: Management | undefined;
  /** The databases of the services, by their names. */
  readonly databases: Readonly<Record<string, string>>;
}

/** The broker that the environment names; else that of the marketplace running from this folder. */
export async function findBroker(env: NodeJS.ProcessEnv): Promise<Where> {
  const { AMQP_URI: amqp, RABBITMQ_MANAGEMENT_URI: management, MONGODB_URI: mongo } = env;
  if (amqp) {
    const databases = mongo
      ? servicesWithDatabase.map((name) => [name, withDatabase(mongo, name)])
      : [];
    return {
      amqp,
      management: management ? toManagement(management) : undefined,
      databases: Object.fromEntries(databases) as Record<string, string>,
    };
  }
  const running = await findRunning();
  if (running) return { ...running, management: running.management };
  throw new Trouble(
    "No broker: run npm start, or give AMQP_URI (amqp://user:password@host:5672/vhost).",
  );
}

function toManagement(uri: string): Management {
  if (!URL.canParse(uri)) {
    throw new Trouble("RABBITMQ_MANAGEMENT_URI is no URL (http://user:password@host:15672).");
  }
  const { origin, pathname, username, password } = new URL(uri);
  return {
    url: `${origin}${pathname.replace(/\/$/, "")}`,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  };
}

/** The virtual host that an address leads to. */
export const vhostOf = (amqp: string): string =>
  decodeURIComponent(new URL(amqp).pathname.slice(1)) || "/";

/** The same failure in one line that says what to give; the address without its password. */
export function unreachable(amqp: string, error: unknown): Trouble {
  if (!URL.canParse(amqp)) {
    return new Trouble("AMQP_URI is no URL (amqp://user:password@host:5672/vhost).");
  }
  const { code, message } = error as NodeJS.ErrnoException;
  const { host } = new URL(amqp);
  if (/ACCESS.REFUSED/.test(message)) {
    return new Trouble(`The broker at ${host} refuses the user and password of AMQP_URI.`);
  }
  if (message.startsWith("Expected ConnectionOpenOk")) {
    const vhost = vhostOf(amqp);
    return new Trouble(`The broker at ${host} has no virtual host "${vhost}" for this user.`);
  }
  return new Trouble(`No broker answers at ${host} (${code ?? message}).`);
}

/** Runs `work` on a connection of its own. */
export async function withBroker<T>(
  amqp: string,
  work: (connection: ChannelModel) => Promise<T>,
): Promise<T> {
  const connection = await connect(amqp, {
    clientProperties: { connection_name: "events" },
    timeout: 10_000,
  }).catch((error: unknown) => {
    throw unreachable(amqp, error);
  });
  connection.on("error", () => undefined);
  const gone = new Promise<never>((_, reject) => {
    connection.once("close", () => reject(new Trouble("The broker is gone; try again.")));
  });
  try {
    return await Promise.race([work(connection), gone]);
  } finally {
    await connection.close().catch(() => undefined);
  }
}
