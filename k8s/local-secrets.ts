import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { servicesWithDatabase, servicesWithoutDatabase } from "#stack/parts";

/** The contents of each Secret, by its name: for a service, the variables that its manifest references. */
type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Needs no escaping in a URL, a file or a shell. */
const password = (): string => randomBytes(24).toString("hex");

const passwords = (users: readonly string[]): Record<string, string> =>
  Object.fromEntries(users.map((user) => [user, password()]));

/** The URL at which Tilt exposes the edge. It is not secret, but specific to this cluster. */
const PUBLIC_URL = "http://localhost:8080";

/**
 * New secrets for a local cluster, which are valid nowhere else. They include the pod networks, which
 * the edge gets in the same way.
 */
export function localSecrets(podNetworks: string): Secrets {
  const mongo = passwords(servicesWithDatabase);
  const rabbit = passwords([...servicesWithDatabase, ...servicesWithoutDatabase, "admin"]);
  const redis = password();
  const amqp = (user: string) => ({ AMQP_URI: `amqp://${user}:${rabbit[user]}@rabbitmq:5672` });
  const uris = (user: string) => ({
    ...amqp(user),
    MONGODB_URI: `mongodb://${user}:${mongo[user]}@mongo:27017/${user}?authSource=${user}&replicaSet=rs0`,
    REDIS_URI: `redis://:${redis}@redis:6379`,
  });
  const entries = [
    ...servicesWithDatabase.map((name) => [name, uris(name)]),
    ...servicesWithoutDatabase.map((name) => [name, amqp(name)]),
  ];
  return {
    ...(Object.fromEntries(entries) as Secrets),
    auth: {
      ...uris("auth"),
      PUBLIC_URL,
      SMTP_URL: "smtp://mailbox:2525",
      SEALING_KEY: randomBytes(32).toString("base64url"),
      REFRESH_KEY: randomBytes(32).toString("base64url"),
    },
    payments: {
      ...uris("payments"),
      PUBLIC_URL,
      STRIPE_KEY: `sk_test_${password()}`,
      STRIPE_WEBHOOK_SECRET: `whsec_${password()}`,
      STRIPE_CONNECT_WEBHOOK_SECRET: "", // our own Stripe tells all by one endpoint
    },
    web: { STRIPE_PUBLISHABLE_KEY: "" }, // our own Stripe has none
    edge: { TRUSTED_NETWORKS: podNetworks },
    mongo: {
      "root-password": password(),
      keyfile: randomBytes(256).toString("base64"),
      "users.json": JSON.stringify(mongo),
    },
    rabbitmq: { "users.json": JSON.stringify(definitions(rabbit)) },
    redis: { "valkey.conf": `requirepass ${redis}\nsave ""\n` },
  };
}

/**
 * RabbitMQ's users, which it imports at every start. `admin` is for operators, and may publish in the name
 * of others, as a replay does. The permissions of the services are not secret: local/rabbitmq-topology.json.
 */
function definitions(users: Readonly<Record<string, string>>) {
  const all = { configure: ".*", write: ".*", read: ".*" };
  return {
    vhosts: [{ name: "/" }],
    users: Object.entries(users).map(([name, word]) => ({
      name,
      password_hash: brokerHash(word),
      hashing_algorithm: "rabbit_password_hashing_sha256",
      tags: name === "admin" ? ["administrator", "impersonator"] : [],
    })),
    permissions: [{ user: "admin", vhost: "/", ...all }],
  };
}

/** RabbitMQ's password hash: four bytes of salt, then the SHA-256 of salt and password. */
function brokerHash(word: string): string {
  const salt = randomBytes(4);
  const hash = createHash("sha256").update(salt).update(word).digest();
  return Buffer.concat([salt, hash]).toString("base64");
}

/** The Secrets as one list for kubectl. */
function manifest(secrets: Secrets): string {
  const items = Object.entries(secrets).map(([name, stringData]) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name },
    stringData,
  }));
  return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}

/** The pod networks of the nodes; TRUSTED_NETWORKS overrides them if the cluster has other networks. */
const podNetworks = (): string =>
  kubectl(["get", "nodes", "--output=jsonpath={.items[*].spec.podCIDRs[*]}"])
    .split(/\s+/)
    .filter((network) => network !== "")
    .join();

const kubectl = (args: readonly string[], input = ""): string =>
  execFileSync("kubectl", [...args, "--namespace=ticketing"], {
    input,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "inherit"],
  });

/**
 * Creates the Secrets in kubectl's current cluster, all or none, and only once: they depend on each other
 * (the URI of a service contains the password in the database's Secret), and the data in the cluster
 * depends on them.
 */
async function main(): Promise<void> {
  kubectl(["apply", "--filename", join(import.meta.dirname, "base/namespace.yaml")]);
  const secrets = localSecrets(process.env["TRUSTED_NETWORKS"] ?? podNetworks());
  const present = kubectl(["get", "secrets", "--output=name"]).split("\n");
  const missing = Object.keys(secrets).filter((name) => !present.includes(`secret/${name}`));
  if (missing.length === 0) return console.log("The secrets are there.");
  if (missing.length < Object.keys(secrets).length) {
    throw new Error(
      `Of the secrets some are there and some are not (${missing.join(", ")}). They were made together: ` +
        "begin anew, without the data, by `kubectl delete namespace ticketing`.",
    );
  }
  kubectl(["create", "--filename=-"], manifest(secrets));
  console.log(`Made ${missing.length} secrets.`);
}

if (import.meta.main) await main();
