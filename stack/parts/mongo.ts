import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mongo as driver } from "mongoose";
import { startPart, type Part, type PartOptions } from "./part.ts";
import { type Child, isListening, preferredPort, run, until } from "#stack/process";
import { ensureTools } from "#stack/tools";

export interface Mongo extends Part {
  /** For a service, which can read and write the database of its name only. */
  url(service: string): string;
  /** For the administrator. */
  readonly adminUrl: string;
  /** For tests: any database as the administrator. */
  databaseUrl(name: string): string;
}

/** The error code of MongoDB. */
const AUTHENTICATION_FAILED = 18;
const REPLICA_SET = "rs0";

/**
 * Starts a MongoDB replica set of one member, with a user for each database. Transactions and change
 * streams need a replica set.
 */
export async function startMongo(
  options: PartOptions & { port?: number; databases: readonly string[] },
): Promise<Mongo> {
  const { dir, databases, secret, env, log = console.log } = options;
  const { mongod } = await ensureTools(["mongod"], log);
  const port = await preferredPort(options.port, "MongoDB", log);
  const host = `127.0.0.1:${port}`;
  const url = (user: string, database: string, source: string) =>
    `mongodb://${user}:${secret(`mongo/${user}`)}@${host}/${database}` +
    `?replicaSet=${REPLICA_SET}&authSource=${source}`;

  const keyFile = join(dir, "key");
  const data = join(dir, "data");
  mkdirSync(data, { recursive: true, mode: 0o700 });
  writeFileSync(keyFile, secret("mongo-members"), { mode: 0o600 });

  const args = flags({ data, keyFile, port });
  const logFile = join(dir, "mongod.log");
  const part = await startPart(
    () => run("mongod", mongod, args, { logFile, ...(env && { env }) }),
    async (child) => {
      await until(() => isListening(port), { what: "MongoDB to listen", child });
      await configure({ child, host, password: secret("mongo/admin"), databases, secret });
    },
  );

  return Object.assign(part, {
    url: (service: string) => url(service, service, service),
    adminUrl: url("admin", "admin", "admin"),
    databaseUrl: (name: string) => url("admin", name, "admin"),
  });
}

function flags({ data, keyFile, port }: { data: string; keyFile: string; port: number }): string[] {
  return [
    ...["--dbpath", data, "--port", `${port}`, "--bind_ip", "127.0.0.1", "--nounixsocket"],
    ...["--replSet", REPLICA_SET, "--auth", "--keyFile", keyFile],
    ...["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256", "--quiet"],
    // With one member there is no election to wait for before it stops.
    ...["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"],
    ...["--setParameter", "diagnosticDataCollectionEnabled=false"],
  ];
}

interface Setup {
  readonly child: Child;
  readonly host: string;
  readonly password: string;
  readonly databases: readonly string[];
  readonly secret: (name: string) => string;
}

/** Every step is idempotent, because an earlier start can have been killed between any two. */
async function configure(setup: Setup): Promise<void> {
  const { child, host, databases, secret } = setup;
  const client = await until(() => signIn(setup), {
    what: "MongoDB to accept the administrator",
    child,
  });
  try {
    const admin = client.db("admin");
    await moveMember(admin, host);
    const primary = async () => (await admin.command({ hello: 1 }))["isWritablePrimary"] as boolean;
    await until(primary, { what: "MongoDB to become primary", child });

    const { users } = await admin.command({ usersInfo: { forAllDBs: true } });
    const existing = new Set((users as { _id: string }[]).map((user) => user._id));
    for (const name of databases.filter((name) => !existing.has(`${name}.${name}`))) {
      const roles = ["readWrite", "dbAdmin"];
      await client.db(name).command({ createUser: name, pwd: secret(`mongo/${name}`), roles });
    }
  } finally {
    await client.close();
  }
}

/** Signs in as the administrator. The first start creates the administrator and the replica set. */
async function signIn({ host, password }: Setup): Promise<driver.MongoClient> {
  const address = `mongodb://${host}/?directConnection=true`;
  const limits = { serverSelectionTimeoutMS: 1000, connectTimeoutMS: 1000 };
  const authenticated = new driver.MongoClient(address, {
    ...limits,
    auth: { username: "admin", password },
    authSource: "admin",
  });
  try {
    return await authenticated.connect();
  } catch (error) {
    await authenticated.close();
    if ((error as driver.MongoServerError).code !== AUTHENTICATION_FAILED) throw error;
  }
  // The localhost exception: MongoDB accepts a local client while it has no users.
  await using anonymous = await new driver.MongoClient(address, limits).connect();
  const admin = anonymous.db("admin");
  const { isWritablePrimary, setName } = await admin.command({ hello: 1 });
  const members = [{ _id: 0, host }];
  if (setName === undefined)
    await admin.command({ replSetInitiate: { _id: REPLICA_SET, members } });
  if (!isWritablePrimary) throw new Error("not yet primary");
  await admin.command({ createUser: "admin", pwd: password, roles: ["root"] });
  throw new Error("not yet signed in");
}

/** Updates the member's address: a member whose port changed does not find itself in its set. */
async function moveMember(admin: driver.Db, host: string): Promise<void> {
  const { config } = await admin.command({ replSetGetConfig: 1 });
  if (config.members[0].host === host) return;
  const members = [{ ...config.members[0], host }];
  const reconfigured = { ...config, members, version: config.version + 1 };
  await admin.command({ replSetReconfig: reconfigured, force: true });
}
