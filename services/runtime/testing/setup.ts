import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startParts } from "#stack/parts";

/** The addresses of the real servers that all tests share; `testing.ts` isolates each test file on them. */
export interface TestParts {
  /** The address with an administrator's rights, for a database of this name. */
  mongoUrl: string;
  amqpUrl: string;
  management: { url: string; user: string; password: string };
  redisUrl: string;
}

declare module "vitest" {
  export interface ProvidedContext {
    parts: TestParts;
  }
}

/** Starts the real servers once for all test files, and stops them after the last one. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Tests create and drop databases, so they use servers of their own, whatever the environment contains.
  for (const name of ["MONGODB_URI", "AMQP_URI", "REDIS_URI"])
    Reflect.deleteProperty(process.env, name);
  const dir = mkdtempSync(join(tmpdir(), "ticketing-tests-"));
  const remove = (): void => rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  const said: string[] = [];
  const parts = await startParts({ dir, services: [], log: (line) => said.push(line) }).catch(
    (error: unknown) => {
      remove();
      throw new Error(`the servers for the tests did not start:\n${said.join("\n")}`, {
        cause: error,
      });
    },
  );
  const { mongo, rabbit, redisUrl } = parts;
  if (!mongo || !rabbit) throw new Error("the tests need servers of their own");
  project.provide("parts", {
    mongoUrl: mongo.databaseUrl("DATABASE"),
    amqpUrl: rabbit.adminUrl,
    management: rabbit.management,
    redisUrl,
  });
  const close = async (): Promise<void> => {
    await parts.stop();
    remove();
  };
  // An interrupted run does not call the function that is returned here.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => void close().finally(() => process.exit(130)));
  }
  return close;
}
