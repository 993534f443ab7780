import { createHash, randomBytes } from "node:crypto";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { definitionsOf, type PermissionSource } from "#runtime/messaging/topology/permissions.ts";
import type { Tools } from "#stack/tools";

export interface Settings {
  readonly dir: string;
  readonly ports: { amqp: number; management: number; epmd: number; dist: number };
  readonly vhost: string;
  /** The first of them is the administrator. */
  readonly users: readonly { name: string; password: string }[];
  /** The topology and the permissions of the others. Without it they have none. */
  readonly rights?: PermissionSource | undefined;
}

/** Writes RabbitMQ's files to `dir`. Returns the environment in which it finds them. */
export function configure(settings: Settings, tools: Tools["rabbitmq"]): Record<string, string> {
  const { dir, ports } = settings;
  const file = (name: string) => join(dir, name);
  const home = file("home"); // Contains the cookie that authenticates Erlang's programs.
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const enabled = plugins(tools.sbin);
  const hasDelays = enabled.includes(DELAY_PLUGIN);
  mkdirSync(file("definitions"), { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(definitions(settings, hasDelays))) {
    writeFileSync(file(join("definitions", name)), JSON.stringify(content), { mode: 0o600 });
  }
  writeFileSync(file("rabbitmq.conf"), configuration(settings));
  writeFileSync(file("enabled_plugins"), `[${enabled.join()}].\n`);
  writeFileSync(file("environment.conf"), ""); // Replaces the one of the machine.
  const path = tools.erlang === "" ? [] : [tools.erlang];
  return {
    PATH: [...path, process.env["PATH"]].join(delimiter),
    HOME: home,
    LANG: "C.UTF-8",
    ERL_EPMD_PORT: `${ports.epmd}`,
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: "ticketing@localhost", // The data belongs to this node name.
    RABBITMQ_DIST_PORT: `${ports.dist}`,
    RABBITMQ_CONFIG_FILE: file("rabbitmq.conf"),
    RABBITMQ_CONF_ENV_FILE: file("environment.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: file("enabled_plugins"),
    RABBITMQ_MNESIA_BASE: file("data"),
    RABBITMQ_LOG_BASE: dir,
    RABBITMQ_LOGS: file("rabbitmq.log"),
    RABBITMQ_PID_FILE: file("pid"),
    // Idle schedulers sleep instead of busy waiting, because the cores are shared.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
  };
}

const DELAY_PLUGIN = "rabbitmq_delayed_message_exchange";

/** The plugin for delayed messages is used if the installed RabbitMQ has it. No package contains it. */
function plugins(sbin: string): string[] {
  const found = globSync(`${DELAY_PLUGIN}*`, { cwd: join(sbin, "../plugins") });
  return ["rabbitmq_management", ...(found.length > 0 ? [DELAY_PLUGIN] : [])];
}

/** Limits the memory, and listens on the loopback address only. */
function configuration({ dir, ports }: Settings): string {
  return [
    `listeners.tcp.default = 127.0.0.1:${ports.amqp}`,
    "management.tcp.ip = 127.0.0.1",
    `management.tcp.port = ${ports.management}`,
    "definitions.import_backend = local_filesystem",
    `definitions.local.path = ${join(dir, "definitions")}`,
    "vm_memory_high_watermark.absolute = 512MB",
    "disk_free_limit.absolute = 100MB",
    "",
  ].join("\n");
}

/**
 * The definitions that RabbitMQ loads at each start, in the order of the file names: the users with
 * hashed passwords, and the topology. With definitions it creates no guest user. The administrator can
 * publish in the name of other users, which the replay of dead letters needs.
 */
function definitions({ vhost, users, rights }: Settings, hasDelays: boolean): object {
  const all = { configure: ".*", write: ".*", read: ".*" };
  const administrator = users.slice(0, 1).map(({ name }) => name);
  return {
    "10-users.json": {
      vhosts: [{ name: vhost }],
      users: users.map(({ name, password }) => ({
        name,
        password_hash: hash(password),
        hashing_algorithm: "rabbit_password_hashing_sha256",
        tags: administrator.includes(name) ? ["administrator", "impersonator"] : [],
      })),
      permissions: administrator.map((user) => ({ user, vhost, ...all })),
    },
    ...(rights && { "20-topology.json": definitionsOf(vhost, rights, hasDelays) }),
  };
}

function hash(password: string): string {
  const salt = randomBytes(4);
  const salted = createHash("sha256").update(salt).update(password).digest();
  return Buffer.concat([salt, salted]).toString("base64");
}
