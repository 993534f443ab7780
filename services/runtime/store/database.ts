import mongoose, { mongo, type Connection, type ConnectOptions } from "mongoose";
import { enforceDeadlines } from "../call-deadline.ts";
import type { Log } from "../log.ts";
import { withDeadline } from "../deadline.ts";

const PING_MS = 1_000;

export interface DatabaseLimits {
  /** The maximum time of a call. Every wait for a connection to the database is shorter. */
  callTimeoutMs?: number;
  /** The number of connections: one part for calls, and an equal part for all other work. */
  connections?: number;
}

/**
 * Writes wait until a majority has written them to its journal; because it is set here, a connection string
 * cannot weaken it. The timeouts are shorter than the limit of a call, in the order in which an operation
 * reaches them, so abandoned operations release their connections. The time limit of a query is sent to the
 * server with each query of a call (call-deadline.ts); all other work has more time. (The driver accepts
 * `timeoutMS`, but ignores it.)
 */
const optionsFor = ({
  callTimeoutMs = 5_000,
  connections = 128,
}: DatabaseLimits): ConnectOptions => ({
  // Separate options: with a single object, `journal` in a connection string would take precedence.
  w: "majority",
  journal: true,
  wtimeoutMS: callTimeoutMs * 0.8,
  readConcern: { level: "majority" },
  retryWrites: true,
  maxPoolSize: connections,
  maxConnecting: 8, // Many calls can arrive at once.
  connectTimeoutMS: callTimeoutMs * 0.8, // A connection attempt that hangs occupies one of these.
  // The heartbeat interval. When this heartbeat and the previous one get no response, all connections are
  // closed; otherwise a call would have to fail on each of them.
  heartbeatFrequencyMS: Math.max(callTimeoutMs * 0.4, 500),
  serverSelectionTimeoutMS: callTimeoutMs * 0.6,
  waitQueueTimeoutMS: callTimeoutMs * 0.4,
  // A sweep may take longer than a call. The heartbeat detects a database that does not respond.
  socketTimeoutMS: callTimeoutMs * 4,
  bufferCommands: false,
  autoIndex: false, // See `buildIndexes`.
});

/** For one-time work on a whole collection at the start: no call waits for it, and it may take minutes. */
export const NO_TIME_LIMIT: object = {
  socketTimeoutMS: 0, // The driver has this option, but its types do not.
  writeConcern: { w: "majority", j: true, wtimeoutMS: 0 },
};

/** Connects to a service's own database, and waits until it is available. */
export async function connectDatabase(
  uri: string,
  log: Log,
  limits: DatabaseLimits = {},
): Promise<Connection> {
  for (;;) {
    try {
      const db = await mongoose.createConnection(uri, optionsFor(limits)).asPromise();
      db.plugin(enforceDeadlines);
      db.on("disconnected", () => log.warn("database gone"));
      db.on("reconnected", () => log.info("database back"));
      return db;
    } catch (err) {
      if (!isDatabaseFault(err) || isUnknownToDatabase(err)) throw err;
      log.warn({ err: (err as Error).message }, "waiting for the database");
    }
  }
}

/** The server's codes for a request that is invalid in itself: a retry fails again. */
const refusalCodes = new Set([
  2, // BadValue
  9, // FailedToParse
  14, // TypeMismatch
  28, // PathNotViable
  40, // ConflictingUpdateOperators
  52, // DollarPrefixedFieldName
  56, // EmptyFieldName
  66, // ImmutableField
  121, // DocumentValidationFailure
  10_334, // BSONObjectTooLarge
  11_000, // DuplicateKey
  17_280, // KeyTooLong
  17_419, // the updated document would be too large
]);

/**
 * Errors that mean incorrect use of the driver, except these: a closed connection is not the request's
 * fault.
 */
const closed = new Set([
  "MongoNotConnectedError",
  "MongoTopologyClosedError",
  "MongoClientClosedError",
  "MongoExpiredSessionError",
]);

/**
 * Whether the database failed for a reason of its own or of its operator: it is unavailable, full, too slow,
 * or rejects our credentials. Every error that is not known to be the request's own fault counts as a
 * failure of the database, so it costs no valid message a try.
 */
export function isDatabaseFault(error: unknown): boolean {
  if (error instanceof mongo.MongoServerError) return !refusalCodes.has(Number(error.code));
  if (error instanceof mongo.MongoAPIError) return closed.has(error.name);
  if (error instanceof mongo.MongoError) return true;
  if (!(error instanceof mongoose.Error)) return false;
  return (
    error.name === "MongooseServerSelectionError" ||
    /initial connection|buffering timed out/.test(error.message)
  );
}

/** The address or the password is wrong. At the start that is a configuration error. */
const isUnknownToDatabase = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError && [18, 8_000].includes(Number(error.code));

/** The name of the unique index that rejected a write, or undefined for another error. */
export function duplicateKeyIndex(error: unknown): string | undefined {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
  if (code !== 11_000) return undefined;
  return /index: (\S+)/.exec(message ?? "")?.[1];
}

/**
 * The writes of a bulk write that the server refused. Throws any other error, also if the other writes may
 * be lost because no majority has them.
 */
export function refusedWrites(error: unknown): mongo.WriteError[] {
  if (!(error instanceof mongo.MongoBulkWriteError)) throw error;
  const refused = [error.writeErrors].flat();
  if (refused.length === 0 || error.result.getWriteConcernError()) throw error;
  return refused;
}

/** The positions of the writes of a bulk write that failed because the document exists. */
export function duplicates(error: unknown): number[] {
  const refused = refusedWrites(error);
  if (refused.some(({ code }) => code !== 11_000)) throw error;
  return refused.map(({ index }) => index);
}

/** Whether the database responds within a second. */
export async function isDatabaseReachable(db: Connection): Promise<boolean> {
  try {
    const ping = db.db?.command({ ping: 1 }) ?? Promise.reject(new Error("not connected"));
    await withDeadline(PING_MS, ping, () => new Error("no answer"));
    return db.readyState === mongoose.ConnectionStates.connected;
  } catch {
    return false;
  }
}
