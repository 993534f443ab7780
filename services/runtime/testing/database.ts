import type { Connection } from "mongoose";
import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { connectDatabase } from "../store/database.ts";
import { atEnd } from "./at-end.ts";
import { silentLog } from "./log.ts";

/** The address of an empty database, which is dropped after the test. */
export function testDatabaseUri(name = `test_${randomUUID().slice(0, 13)}`): string {
  return inject("parts").mongoUrl.replace("/DATABASE?", `/${name}?`);
}

/** An empty database of the real server. */
export async function testDatabase(): Promise<Connection> {
  // A busy machine is slow, which is not a failure.
  const db = await connectDatabase(testDatabaseUri(), silentLog, { callTimeoutMs: 60_000 });
  atEnd(async () => {
    await db.dropDatabase();
    await db.close();
  });
  return db;
}
