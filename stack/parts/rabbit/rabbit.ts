import { join } from "node:path";
import { connect } from "amqplib";
import type { PermissionSource } from "#runtime/messaging/topology/permissions.ts";
import { startPart, type Part, type PartOptions } from "../part.ts";
import { type Child, freePorts, isListening, preferredPort, run, until } from "#stack/process";
import { configure } from "./config.ts";
import { manage, type Management } from "./management.ts";
import { electMissingLeaders } from "./repair.ts";
import { execute, ensureTools } from "#stack/tools";

export interface Rabbit extends Part {
  /** For a service, with a user of its own, in the virtual host that all services share. */
  url(service: string): string;
  /** For the administrator, in the same virtual host. */
  readonly adminUrl: string;
  readonly management: Management;
  /** Runs `rabbitmqctl`. */
  control(...args: string[]): Promise<unknown>;
  /** For tests: creates an empty virtual host. Returns the administrator's URL for it. */
  createVhost(name: string): Promise<string>;
  deleteVhost(name: string): Promise<void>;
}

export interface RabbitOptions extends PartOptions {
  readonly ports?: { readonly amqp?: number; readonly management?: number };
  /** The services, each with a user of its own. */
  readonly services: readonly string[];
  /** The topology and the permissions of these users. Without it they have none. */
  readonly rights?: PermissionSource | undefined;
}

const VHOST = "ticketing";
const START_TIMEOUT_MS = 60_000;
const CONTROL_TIMEOUT_MS = 60_000;

/** Starts RabbitMQ with a user for each service and the management API, and without a guest user. */
export async function startRabbit(options: RabbitOptions): Promise<Rabbit> {
  const { dir, services, rights, secret, log = console.log } = options;
  const { rabbitmq } = await ensureTools(["rabbitmq"], log);
  const ports = await choosePorts(options.ports, log);
  const password = (user: string) => secret(`rabbit/${user}`);
  const url = (user: string, vhost: string) =>
    `amqp://${user}:${password(user)}@127.0.0.1:${ports.amqp}/${encodeURIComponent(vhost)}`;
  const management: Management = {
    url: `http://127.0.0.1:${ports.management}`,
    user: "admin",
    password: password("admin"),
  };
  const users = ["admin", ...services].map((name) => ({ name, password: password(name) }));
  const files = configure({ dir, ports, vhost: VHOST, users, rights }, rabbitmq);
  const env = { ...options.env, ...files };

  const epmd = portMapper(rabbitmq.erlang, ports.epmd, env);
  const start = async () => {
    await epmd.start();
    const logFile = join(dir, "start.log");
    // The scripts do not support a space in their path, so they run from their own folder.
    return run("rabbitmq", "./rabbitmq-server", [], { env, cwd: rabbitmq.sbin, logFile });
  };
  const ready = async (child: Child) => {
    // It listens before its start is complete, which only its output tells.
    const started = () => child.tail().includes("completed with");
    await until(started, { what: "RabbitMQ to start", timeoutMs: START_TIMEOUT_MS, child });
    await electMissingLeaders(management, rabbitmq.sbin, env);
    await until(() => canDeclare(url("admin", VHOST)), { what: "RabbitMQ to serve", child });
  };
  const part = await startPart(start, ready).catch(async (error: unknown) => {
    await epmd.stop();
    throw error;
  });

  const stop = part.stop;
  return Object.assign(part, {
    async stop() {
      await stop();
      await epmd.stop();
    },
    url: (service: string) => url(service, VHOST),
    adminUrl: url("admin", VHOST),
    management,
    control: (...args: string[]) =>
      execute("./rabbitmqctl", args, { env, cwd: rabbitmq.sbin, timeoutMs: CONTROL_TIMEOUT_MS }),
    async createVhost(name: string) {
      await createVhost(management, name);
      return url("admin", name);
    },
    async deleteVhost(name: string) {
      await manage(management, "DELETE", `vhosts/${encodeURIComponent(name)}`);
    },
  });
}

async function choosePorts(wanted: RabbitOptions["ports"], log: (line: string) => void) {
  const amqp = await preferredPort(wanted?.amqp, "RabbitMQ", log);
  const management = await preferredPort(wanted?.management, "RabbitMQ's management", log);
  const [epmd, dist] = (await freePorts(2)) as [number, number];
  return { amqp, management, epmd, dist };
}

/** Erlang's port mapper. RabbitMQ would start one by itself that outlives it. */
function portMapper(erlang: string, port: number, env: Readonly<Record<string, string>>) {
  let child: Child | undefined;
  return {
    async start() {
      if (child?.running) return;
      const args = ["-address", "127.0.0.1", "-port", `${port}`];
      child = run("epmd", join(erlang, "epmd"), args, { env });
      await until(() => isListening(port), { what: "epmd to listen", child });
    },
    stop: async () => child?.stop(),
  };
}

async function createVhost(management: Management, name: string): Promise<void> {
  const path = encodeURIComponent(name);
  await manage(management, "PUT", `vhosts/${path}`);
  const all = { configure: ".*", write: ".*", read: ".*" };
  await manage(management, "PUT", `permissions/${path}/admin`, all);
}

async function canDeclare(url: string): Promise<boolean> {
  const connection = await connect(url);
  connection.on("error", () => {});
  try {
    const channel = await connection.createChannel();
    await channel.assertQueue("", { exclusive: true });
    return true;
  } finally {
    await connection.close();
  }
}
