import type { Connection, mongo } from "mongoose";
import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { connectDatabase } from "../store/database.ts";
import { atEnd } from "./at-end.ts";
import { silentLog } from "./log.ts";

const newName = (): string => `test_${randomUUID().slice(0, 13)}`;

/** The address of an empty database. */
export function testDatabaseUri(name = newName()): string {
  return inject("parts").mongoUrl.replace("/DATABASE?", `/${name}?`);
}

/** The databases that tests have left empty, by what they contain. */
const emptied = new Map<string, string[]>();

async function deleteAll(db: Connection): Promise<void> {
  const collections = (await db.db?.collections()) ?? [];
  const own = collections.filter(({ collectionName }) => !collectionName.startsWith("system."));
  await Promise.all(own.map((each) => each.deleteMany({})));
}

/**
 * An empty database of the real server. `commandsOf` can count the commands of every test connection.
 * With the name of its models it can be one that an earlier test has emptied: creating their indexes takes
 * longer than most tests.
 */
export async function testDatabase(models?: string): Promise<Connection> {
  const ready = models ? (emptied.get(models) ?? []) : [];
  if (models) emptied.set(models, ready);
  const uri = `${testDatabaseUri(ready.pop())}&monitorCommands=true`;
  // A busy machine is slow, which is not a failure.
  const db = await connectDatabase(uri, silentLog, { callTimeoutMs: 60_000 });
  atEnd(async () => {
    await (models ? deleteAll(db) : db.dropDatabase());
    await db.close();
    ready.push(db.name);
  });
  return db;
}

/** The commands that reach the database while `work` runs, as "find tickets", in their order. */
export async function commandsOf(db: Connection, work: () => Promise<unknown>): Promise<string[]> {
  const commands: string[] = [];
  const listen = ({ commandName, command }: mongo.CommandStartedEvent): void => {
    if (commandName === "create") return; // Of mongoose, in the background, for a new model.
    commands.push(`${commandName} ${String(command[commandName])}`);
  };
  const client = db.getClient();
  client.on("commandStarted", listen);
  await work().finally(() => client.off("commandStarted", listen));
  return commands;
}

/** How the database found what a command asked for. */
export interface QueryPlan {
  planSummary: string;
  /** Whether it sorted documents in memory. */
  hasSortStage?: boolean;
  docsExamined: number;
  keysExamined: number;
}

/** The plans of all queries and updates that a database of its own executes while `work` runs. */
export async function plansOf(db: Connection, work: () => Promise<unknown>): Promise<QueryPlan[]> {
  const database = db.getClient().db(db.name);
  const profile = database.collection<QueryPlan & { ns: string }>("system.profile");
  await database.command({ profile: 0 });
  await profile.drop().catch(() => undefined);
  await database.command({ profile: 2, slowms: 0 });
  await work().finally(() => database.command({ profile: 0 }));
  const executed = { planSummary: { $exists: true }, ns: { $not: /system\.profile$/ } };
  return profile.find(executed).toArray();
}
