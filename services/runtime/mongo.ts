import mongoose, { type Connection, type ConnectOptions } from "mongoose";
import type { Log } from "./log.ts";

/** Writes wait for the majority's journals; given here, no connection string can lower it. */
const options: ConnectOptions = {
  // One by one: as one object, `journal` in a connection string would win over it.
  w: "majority",
  journal: true,
  wtimeoutMS: 10_000,
  readConcern: { level: "majority" },
  retryWrites: true,
  maxPoolSize: 30,
  serverSelectionTimeoutMS: 3_000,
  waitQueueTimeoutMS: 10_000,
  socketTimeoutMS: 20_000,
  bufferCommands: false,
};

/** Connects to a service's own database, and waits for it where it is not there yet. */
export async function connectDatabase(uri: string, log: Log): Promise<Connection> {
  for (;;) {
    try {
      const db = await mongoose.createConnection(uri, options).asPromise();
      db.on("disconnected", () => log.warn("database gone"));
      db.on("reconnected", () => log.info("database back"));
      return db;
    } catch (err) {
      if (!isDatabaseFault(err)) throw err;
      log.warn({ err: (err as Error).message }, "waiting for the database");
    }
  }
}

const faults = new Set([
  "MongoNetworkError",
  "MongoNetworkTimeoutError",
  "MongoServerSelectionError",
  "MongooseServerSelectionError",
  "MongoNotConnectedError",
  "MongoOperationTimeoutError",
  "MongoTopologyClosedError",
  "MongoPoolClearedError",
  "MongoPoolClosedError",
  "MongoWaitQueueTimeoutError",
  "MongoWriteConcernError",
  "PoolClearedOnNetworkError",
]);

/** The server is stopping, or no longer (or not yet) the one that answers. */
const faultCodes = new Set([91, 189, 10_107, 11_600, 11_602, 13_435, 13_436]);

/** Whether the database could not be asked, as opposed to having said no. */
export function isDatabaseFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (faults.has(error.name)) return true;
  if (faultCodes.has((error as { code?: number }).code ?? 0)) return true;
  if (error.name === "MongooseError")
    return /initial connection|buffering timed out/.test(error.message);
  const labelled = error as { hasErrorLabel?: (label: string) => boolean };
  return labelled.hasErrorLabel?.("RetryableWriteError") ?? false;
}

/** The name of the unique index that refused a write, or undefined where it was another error. */
export function duplicateOf(error: unknown): string | undefined {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
  if (code !== 11_000) return undefined;
  return /index: (\S+)/.exec(message ?? "")?.[1];
}

/** Whether the database answers, within a second. */
export async function answers(db: Connection): Promise<boolean> {
  try {
    await db.db?.command({ ping: 1 }, { timeoutMS: 1_000 });
    return db.readyState === mongoose.ConnectionStates.connected;
  } catch {
    return false;
  }
}
