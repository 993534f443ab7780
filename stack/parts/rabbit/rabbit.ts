import { join } from "node:path";
import { connect } from "amqplib";
import type { PermissionSource } from "#runtime/messaging/permissions.ts";
import { startPart, type Part, type PartOptions } from "../part.ts";
import { type Child, freePorts, isListening, preferredPort, run, until } from "#stack/process";
import { configure } from "./config.ts";
import { manage, type Management } from "./management.ts";
import { electMissingLeaders } from "./repair.ts";
import { execute, ensureTools } from "#stack/tools";

export interface Rabbit extends Part {
  /** For one service, with its own user, in the virtual host that all services share. */
  url(service: string): string;
  /** For the administrator, in the same virtual host. */
  readonly adminUrl: string;
  readonly management: Management;
  /** Runs `rabbitmqctl` on it. */
  control(...args: string[]): Promise<unknown>;
  /** For tests: makes an empty virtual host and gives the administrator's URL for it. */
  createVhost(name: string): Promise<string>;
  deleteVhost(name: string): Promise<void>;
}

export interface RabbitOptions extends PartOptions {
  readonly ports?: { readonly amqp?: number; readonly management?: number };
  /** Those that get a user of their own. */
  readonly services: readonly string[];
  /** What their users need there, and may do with it; nothing if not said. */
  readonly rights?: PermissionSource | undefined;
}

const vhost = "ticketing";

/** Starts RabbitMQ with a user for each service, a management API, and no guest. */
export async function startRabbit(options: RabbitOptions): Promise<Rabbit> {
  const { dir, services, rights, secret, log = console.log } = options;
  const { rabbitmq } = await ensureTools(["rabbitmq"], log);
  const amqp = await preferredPort(options.ports?.amqp, "RabbitMQ", log);
  const http = await preferredPort(options.ports?.management, "RabbitMQ's management", log);
  const [epmd, dist] = (await freePorts(2)) as [number, number];

  const password = (user: string) => secret(`rabbit/${user}`);
  const url = (user: string, name: string) =>
    `amqp://${user}:${password(user)}@127.0.0.1:${amqp}/${encodeURIComponent(name)}`;
  const management: Management = {
    url: `http://127.0.0.1:${http}`,
    user: "admin",
    password: password("admin"),
  };
  const users = ["admin", ...services].map((name) => ({ name, password: password(name) }));
  const ports = { amqp, management: http, epmd, dist };
  const env = { ...options.env, ...configure({ dir, ports, vhost, users, rights }, rabbitmq) };

  // RabbitMQ would start a port mapper of its own, which then outlives it. This one is ours.
  let mapper: Child | undefined;
  const startMapper = () => {
    const args = ["-address", "127.0.0.1", "-port", `${epmd}`];
    mapper = run("epmd", join(rabbitmq.erlang, "epmd"), args, { env });
    return until(() => isListening(epmd), { what: "epmd to listen", child: mapper });
  };
  const start = async () => {
    if (!mapper?.running) await startMapper();
    const logFile = join(dir, "start.log");
    // Its scripts cannot bear a space in their own path, so they are called from beside them.
    return run("rabbitmq", "./rabbitmq-server", [], { env, cwd: rabbitmq.sbin, logFile });
  };
  const ready = async (child: Child) => {
    // It listens before it has started for good; only its own word is the end of that.
    const started = () => child.tail().includes("completed with");
    await until(started, { what: "RabbitMQ to start", timeoutMs: 60_000, child });
    await electMissingLeaders(management, rabbitmq.sbin, env);
    await until(() => declares(url("admin", vhost)), { what: "RabbitMQ to serve", child });
  };
  const part = await startPart(start, ready).catch(async (error: unknown) => {
    await mapper?.stop();
    throw error;
  });

  const stop = part.stop;
  return Object.assign(part, {
    async stop() {
      await stop();
      await mapper?.stop();
    },
    url: (service: string) => url(service, vhost),
    adminUrl: url("admin", vhost),
    management,
    control: (...args: string[]) =>
      execute("./rabbitmqctl", args, { env, cwd: rabbitmq.sbin, timeoutMs: 60_000 }),
    async createVhost(name: string) {
      const path = encodeURIComponent(name);
      await manage(management, "PUT", `vhosts/${path}`);
      const all = { configure: ".*", write: ".*", read: ".*" };
      await manage(management, "PUT", `permissions/${path}/admin`, all);
      return url("admin", name);
    },
    async deleteVhost(name: string) {
      await manage(management, "DELETE", `vhosts/${encodeURIComponent(name)}`);
    },
  });
}

async function declares(url: string): Promise<boolean> {
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
