import { readFileSync } from "node:fs";
import { readFile, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { mongo as driver } from "mongoose";
import type { TestProject } from "vitest/node";
import type { ServiceName, System } from "#stack/launcher";
import { startMarketplace } from "./marketplace.ts";

/** The marketplace that all tests share: its addresses, also of what is behind the edge. */
export interface SharedMarketplace {
  url: string;
  /** The broker, with the administrator's permissions, for the event log. */
  amqpUrl: string;
  /** The broker, with the permissions of each service. */
  brokerUrls: Record<string, string>;
  /** MongoDB, with the administrator's permissions; DATABASE is a placeholder for the name. */
  mongoUrl: string;
  stripeUrl: string;
  /** The only API key that the local Stripe accepts. */
  stripeKey: string;
  /** The page of the mailbox; /mails returns all mails, the newest first. */
  mailboxUrl: string;
  /** The SMTP address of the mailbox. */
  smtpUrl: string;
  /** The storefront's own server, behind the edge. */
  webUrl: string;
  logs: string;
  /** Every generated key and password; none of them may appear anywhere. */
  secrets: string[];
  /**
   * POST /restart/<service> kills and restarts every instance of a service. GET /pids returns the pids
   * of the services and of the edge. GET /processes returns all processes by name, each with its pid or
   * with how it exited.
   */
  control: string;
  /** The addresses of the instances of each service, behind the edge. */
  rpc: Record<string, string[]>;
  http: Record<string, string[]>;
  holdSeconds: number;
}

declare module "vitest" {
  export interface ProvidedContext {
    marketplace: SharedMarketplace;
  }
}

/** Long enough for a purchase on a busy machine, short enough to wait for its end. */
const HOLD_SECONDS = 20;

async function processStates({ processes }: System): Promise<Record<string, number | string>> {
  const each = processes.map(async ({ child }) => {
    return [child.name, child.running ? child.pid : await child.exited] as const;
  });
  return Object.fromEntries(await Promise.all(each));
}

async function serveControl(system: System): Promise<{ url: string; close(): void }> {
  const server = createServer((req, res) => {
    if (req.url === "/pids") {
      const services = Object.values(system.instances).flat();
      const pids = [system.edge.pid, ...services.map(({ child }) => child.pid)];
      return void res.end(JSON.stringify(pids));
    }
    if (req.url === "/processes") {
      return void processStates(system).then((state) => res.end(JSON.stringify(state)));
    }
    const service = /^\/restart\/(\w+)$/.exec(req.url ?? "")?.[1] as ServiceName | undefined;
    const instances = service ? system.instances[service] : undefined;
    if (!instances) return void res.writeHead(404).end();
    for (const { child } of instances) child.kill("SIGKILL");
    void Promise.all(instances.map((instance) => instance.restart())).then(
      () => res.writeHead(204).end(),
      (error: unknown) => res.writeHead(500).end(String(error)),
    );
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

const addresses = ({ instances }: System, port: "rpc" | "http"): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(instances).map(([name, list]) => [name, list.map((each) => each[port])]),
  );

/** The files with the generated secrets of the parts and of the services. */
const SECRET_FILES = ["secrets.json", "services.json"];

/** The generated secrets of this marketplace. */
const secretsIn = (dir: string): string[] =>
  SECRET_FILES.flatMap((file) =>
    Object.values(JSON.parse(readFileSync(join(dir, file), "utf8")) as Record<string, string>),
  );

/** From now on the database refuses every query that would have to read a whole collection */
async function refuseScans(adminUrl: string): Promise<void> {
  const client = await new driver.MongoClient(adminUrl).connect();
  await client.db("admin").command({ setParameter: 1, notablescan: true });
  await client.close();
}

/** The lines of the services about queries that were refused, also in background work. */
async function refusedScans(logs: string): Promise<string[]> {
  const files = await readdir(logs);
  const texts = await Promise.all(files.map((file) => readFile(join(logs, file), "utf8")));
  return texts.flatMap((text) => text.split("\n").filter((line) => line.includes("notablescan")));
}

/** Starts the marketplace once, as `npm start` does; INSTANCES is the number of instances. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { dir, system } = await startMarketplace("e2e", {
    instances: Number(process.env["INSTANCES"] ?? 1),
    env: {
      ORDER_HOLD_SECONDS: String(HOLD_SECONDS),
      PAYOUT_SWEEP_SECONDS: "2",
      CALL_TIMEOUT_SECONDS: "60", // A busy machine is slow, which is not a failure.
    },
  });
  const control = await serveControl(system);
  const { mongo, rabbit } = system.parts;
  if (mongo) await refuseScans(mongo.adminUrl);
  project.provide("marketplace", {
    url: system.url,
    amqpUrl: rabbit?.adminUrl ?? "",
    brokerUrls: Object.fromEntries(
      Object.keys(system.instances).map((name) => [name, system.parts.amqpUrl(name)]),
    ),
    mongoUrl: mongo?.databaseUrl("DATABASE") ?? "",
    stripeUrl: system.stripe.url ?? "",
    stripeKey: system.stripe.key,
    mailboxUrl: system.mailbox ?? "",
    smtpUrl: system.smtp ?? "",
    webUrl: system.web,
    logs: join(dir, "logs"),
    secrets: secretsIn(dir),
    control: control.url,
    rpc: addresses(system, "rpc"),
    http: addresses(system, "http"),
    holdSeconds: HOLD_SECONDS,
  });
  return async () => {
    control.close();
    await system.stop();
    const refused = await refusedScans(join(dir, "logs"));
    await rm(dir, { recursive: true, force: true });
    if (refused.length > 0) throw new Error(`queries without an index:\n${refused.join("\n")}`);
  };
}
