import { join } from "node:path";
import { connect } from "amqplib";
import type { PermissionSource } from "#runtime/messaging/topology/permissions.ts";
import { declareTopology } from "#runtime/messaging/topology/topology.ts";
import { claim, ownerVariables } from "./claim.ts";
import { withDatabase } from "./databases.ts";
import { type Mongo, startMongo } from "./mongo.ts";
import { type Rabbit, startRabbit } from "./rabbit/rabbit.ts";
import { type Redis, startRedis } from "./redis.ts";
import { openSecrets } from "./secrets.ts";

export interface PartsOptions {
  /** Contains all data, logs and passwords. The next start finds them again. */
  readonly dir: string;
  /** Whether the caller has claimed `dir` already, and releases it. */
  readonly isClaimed?: boolean;
  /** The preferred ports. Another free port is used if one is missing or in use. */
  readonly ports?: { mongo?: number; amqp?: number; management?: number; redis?: number };
  /** The services, each with a user of its own at the broker. */
  readonly services: readonly string[];
  /** The permissions of these users. Without it they have none. */
  readonly rights?: PermissionSource;
  /** The services with a user of their own at the database, all by default. */
  readonly databases?: readonly string[];
  readonly log?: (line: string) => void;
}

export interface Parts {
  mongoUrl(service: string): string;
  amqpUrl(service: string): string;
  readonly redisUrl: string;
  /** Undefined if the environment names a server that runs already. */
  readonly mongo: Mongo | undefined;
  readonly rabbit: Rabbit | undefined;
  readonly redis: Redis | undefined;
  stop(): Promise<void>;
}

/**
 * Starts MongoDB, RabbitMQ and Redis in parallel, and resolves when they can be used. A part whose
 * address is in the environment (MONGODB_URI, AMQP_URI, REDIS_URI) is not started.
 */
export async function startParts(options: PartsOptions): Promise<Parts> {
  const { dir, services, databases = services, rights, ports = {}, log = console.log } = options;
  const release = options.isClaimed ? () => {} : await claim(dir, log);
  const secret = openSecrets(join(dir, "secrets.json"));
  const common = (name: string) => ({
    dir: join(dir, name),
    secret,
    log,
    env: ownerVariables(dir),
  });
  const { MONGODB_URI, AMQP_URI, REDIS_URI } = process.env;
  const { mongo: port, redis: redisPort, ...rabbitPorts } = ports;

  const starts = [
    MONGODB_URI ? undefined : startMongo({ ...common("mongo"), ...at(port), databases }),
    AMQP_URI
      ? undefined
      : startRabbit({ ...common("rabbit"), ports: rabbitPorts, services, rights }),
    REDIS_URI ? undefined : startRedis({ ...common("redis"), ...at(redisPort) }),
  ] as const;
  const stop = async () => {
    const started = (await Promise.allSettled(starts)).map((start) =>
      start.status === "fulfilled" ? start.value : undefined,
    );
    await Promise.all(started.map((part) => part?.stop()));
    release();
  };

  try {
    const [mongo, rabbit, redis] = await Promise.all(starts);
    if (AMQP_URI && rights) await declareAt(AMQP_URI, rights);
    return {
      mongo,
      rabbit,
      redis,
      mongoUrl: (service) => mongo?.url(service) ?? withDatabase(MONGODB_URI ?? "", service),
      amqpUrl: (service) => rabbit?.url(service) ?? AMQP_URI ?? "",
      redisUrl: redis?.url ?? REDIS_URI ?? "",
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Declares the topology at a broker that was not started here, which loads no definitions. */
async function declareAt(url: string, rights: PermissionSource): Promise<void> {
  const connection = await connect(url);
  try {
    await declareTopology(await connection.createChannel(), rights);
  } finally {
    await connection.close();
  }
}

function at(port: number | undefined): { port?: number } {
  return port === undefined ? {} : { port };
}
