import { createHash, randomBytes } from "node:crypto";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Tools } from "../tools.ts";

export interface Settings {
  readonly dir: string;
  readonly ports: { amqp: number; management: number; epmd: number; dist: number };
  readonly vhost: string;
  /** The first of them is the administrator. */
  readonly users: readonly { name: string; password: string }[];
}

/** Writes RabbitMQ's files into `dir`, and gives the environment in which it finds them. */
export function configure(settings: Settings, tools: Tools["rabbitmq"]): Record<string, string> {
  const { dir, ports } = settings;
  const file = (name: string) => join(dir, name);
  const home = file("home"); // of the cookie by which Erlang's programs know each other
  mkdirSync(home, { recursive: true, mode: 0o700 });
  writeFileSync(file("definitions.json"), definitions(settings), { mode: 0o600 });
  writeFileSync(file("rabbitmq.conf"), configuration(settings));
  writeFileSync(file("enabled_plugins"), `[${plugins(tools.sbin).join()}].\n`);
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

/** The one for delays is in no package that is fetched; where a RabbitMQ has it, it is used. */
function plugins(sbin: string): string[] {
  const delay = "rabbitmq_delayed_message_exchange";
  const found = globSync(`${delay}*`, { cwd: join(sbin, "../plugins") });
  return ["rabbitmq_management", ...(found.length > 0 ? [delay] : [])];
}

/** Small, and on the loopback address only. */
function configuration({ dir, ports }: Settings): string {
  return [
    `listeners.tcp.default = 127.0.0.1:${ports.amqp}`,
    "management.tcp.ip = 127.0.0.1",
    `management.tcp.port = ${ports.management}`,
    `load_definitions = ${join(dir, "definitions.json")}`,
    "vm_memory_high_watermark.absolute = 512MB",
    "disk_free_limit.absolute = 100MB",
    "",
  ].join("\n");
}

/**
 * The users and the virtual host, which RabbitMQ loads at each start; because it has these, it
 * makes no guest. It holds hashes and not passwords. Within the virtual host a service may do
 * all, as each declares the topology that it needs; only the administrator sees the management.
 */
function definitions({ vhost, users }: Settings): string {
  const all = { configure: ".*", write: ".*", read: ".*" };
  return JSON.stringify({
    vhosts: [{ name: vhost }],
    users: users.map(({ name, password }, index) => ({
      name,
      password_hash: hash(password),
      hashing_algorithm: "rabbit_password_hashing_sha256",
      tags: index === 0 ? ["administrator"] : [],
    })),
    permissions: users.map(({ name }) => ({ user: name, vhost, ...all })),
  });
}

function hash(password: string): string {
  const salt = randomBytes(4);
  const salted = createHash("sha256").update(salt).update(password).digest();
  return Buffer.concat([salt, salted]).toString("base64");
}
