import { createHash, randomBytes } from "node:crypto";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { definitionsOf, type PermissionSource } from "#runtime/messaging/permissions.ts";
import type { Tools } from "#stack/tools";

export interface Settings {
  readonly dir: string;
  readonly ports: { amqp: number; management: number; epmd: number; dist: number };
  readonly vhost: string;
  /** The first of them is the administrator. */
  readonly users: readonly { name: string; password: string }[];
  /** What the others need there, and may do with it; nothing if not said. */
  readonly rights?: PermissionSource | undefined;
}

/** Writes RabbitMQ's files into `dir`, and gives the environment in which it finds them. */
export function configure(settings: Settings, tools: Tools["rabbitmq"]): Record<string, string> {
  const { dir, ports } = settings;
  const file = (name: string) => join(dir, name);
  const home = file("home"); // of the cookie by which Erlang's programs know each other
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const enabled = plugins(tools.sbin);
  const hasDelays = enabled.includes(DELAY_PLUGIN);
  mkdirSync(file("definitions"), { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(definitions(settings, hasDelays))) {
    writeFileSync(file(join("definitions", name)), JSON.stringify(content), { mode: 0o600 });
  }
  writeFileSync(file("rabbitmq.conf"), configuration(settings));
  writeFileSync(file("enabled_plugins"), `[${enabled.join()}].\n`);
  writeFileSync(file("environment.conf"), ""); // in place of the machine's own
  const path = tools.erlang === "" ? [] : [tools.erlang];
  return {
    PATH: [...path, process.env["PATH"]].join(delimiter),
    HOME: home,
    LANG: "C.UTF-8",
    ERL_EPMD_PORT: `${ports.epmd}`,
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: "ticketing@localhost", // its data are bound to this name
    RABBITMQ_DIST_PORT: `${ports.dist}`,
    RABBITMQ_CONFIG_FILE: file("rabbitmq.conf"),
    RABBITMQ_CONF_ENV_FILE: file("environment.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: file("enabled_plugins"),
    RABBITMQ_MNESIA_BASE: file("data"),
    RABBITMQ_LOG_BASE: dir,
    RABBITMQ_LOGS: file("rabbitmq.log"),
    RABBITMQ_PID_FILE: file("pid"),
    // The cores are shared with all else here: its schedulers sleep when they have nothing to do.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
  };
}

const DELAY_PLUGIN = "rabbitmq_delayed_message_exchange";

/** The one for delays is in no package that is fetched; where a RabbitMQ has it, it is used. */
function plugins(sbin: string): string[] {
  const found = globSync(`${DELAY_PLUGIN}*`, { cwd: join(sbin, "../plugins") });
  return ["rabbitmq_management", ...(found.length > 0 ? [DELAY_PLUGIN] : [])];
}

/** Small, and on the loopback address only. */
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
 * What RabbitMQ loads at each start, in the order of the files' names: the users, and what is in their
 * virtual host. Because it has these, it makes no guest. It holds hashes and not passwords. Only the
 * administrator may do everything, and send in the name of others, as a replay of their messages does.
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
