import type { Connection, mongo } from "mongoose";
import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { connectDatabase } from "../store/database.ts";
import { atEnd } from "./at-end.ts";
import { silentLog } from "./log.ts";

/** The address of an empty database, which is dropped after the test. */
export function testDatabaseUri(name = `test_${randomUUID().slice(0, 13)}`): string {
  return inject("parts").mongoUrl.replace("/DATABASE?", `/${name}?`);
}

/** An empty database of the real server. `commandsOf` can count the commands of every test connection. */
export async function testDatabase(): Promise<Connection> {
  const uri = `${testDatabaseUri()}&monitorCommands=true`;
  // A busy machine is slow, which is not a failure.
  const db = await connectDatabase(uri, silentLog, { callTimeoutMs: 60_000 });
  atEnd(async () => {
    await db.dropDatabase();
    await db.close();
  });
  return db;
}

/** The commands that reach the database while `work` runs, as "find tickets", in their order. */
export async function commandsOf(db: Connection, work: () => Promise<unknown>): Promise<string[]> {
  const commands: string[] = [];
  const listen = ({ commandName, command }: mongo.CommandStartedEvent): void =>
    void commands.push(`${commandName} ${String(command[commandName])}`);
  const client = db.getClient();
  client.on("commandStarted", listen);
  await work().finally(() => client.off("commandStarted", listen));
  return commands;
}
