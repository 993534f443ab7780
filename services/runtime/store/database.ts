import mongoose, { mongo, type Connection, type ConnectOptions } from "mongoose";
import { enforceDeadlines } from "../call-deadline.ts";
import type { Log } from "../log.ts";
import { withDeadline } from "../deadline.ts";

const PING_MS = 1_000;

export interface DatabaseLimits {
  /** How long a call may take; every wait for a place at the database is shorter. */
  callTimeoutMs?: number;
  /** How many connections there may be: those of the calls, and as many for all that runs beside them. */
  connections?: number;
}

/**
 * Writes wait for the majority's journals; given here, no connection string can lower it. The waits
 * lie below the call's limit, in the order in which the work runs into them, so that what nobody waits
 * for any more keeps no place. What a query itself may take is told to the server, with each of a call's
 * (call-deadline.ts): all other work has more time. (The driver takes a `timeoutMS`, and does nothing about it.)
 */
const optionsFor = ({
  callTimeoutMs = 5_000,
  connections = 128,
}: DatabaseLimits): ConnectOptions => ({
  // One by one: as one object, `journal` in a connection string would win over it.
  w: "majority",
  journal: true,
  wtimeoutMS: callTimeoutMs * 0.8,
  readConcern: { level: "majority" },
  retryWrites: true,
  maxPoolSize: connections,
  maxConnecting: 8, // A crowd comes at once.
  connectTimeoutMS: callTimeoutMs * 0.8, // A connection that hangs keeps one of these places.
  // So often it is asked how it is. Without an answer for this and the one before together, all its
  // connections are dropped: each of them would else have to be found dead by a call.
  heartbeatFrequencyMS: Math.max(callTimeoutMs * 0.4, 500),
  serverSelectionTimeoutMS: callTimeoutMs * 0.6,
  waitQueueTimeoutMS: callTimeoutMs * 0.4,
  // A sweep may take longer than a call. A database that says nothing is found by the heartbeat.
  socketTimeoutMS: callTimeoutMs * 4,
  bufferCommands: false,
  autoIndex: false, // See `buildIndexes`.
});

/** For what is done once, at a start, to a whole collection: nobody waits, and it may take minutes. */
export const NO_TIME_LIMIT: object = {
  socketTimeoutMS: 0, // An option of the driver's, though not of its types.
  writeConcern: { w: "majority", j: true, wtimeoutMS: 0 },
};

/** Connects to a service's own database, and waits for it where it is not there yet. */
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

/** What the server answers to a request that is wrong by itself: the same again is refused again. */
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

/** The driver was used wrongly, but for these: a connection that is closed is no mistake of a request. */
const closed = new Set([
  "MongoNotConnectedError",
  "MongoTopologyClosedError",
  "MongoClientClosedError",
  "MongoExpiredSessionError",
]);

/**
 * Whether the database could not do what it was asked, for a reason that lies with it or with its
 * operator: it is away, full, too slow, or knows us no longer. Whatever is not known to be the
 * request's own mistake is one, so that no fault costs a good message its tries.
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

/** The address or the password is wrong: at the start that is a mistake in the configuration. */
const isUnknownToDatabase = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError && [18, 8_000].includes(Number(error.code));

/** The name of the unique index that refused a write, or undefined where it was another error. */
export function duplicateKeyIndex(error: unknown): string | undefined {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
  if (code !== 11_000) return undefined;
  return /index: (\S+)/.exec(message ?? "")?.[1];
}

/** Whether the database answers, within a second. */
export async function isDatabaseReachable(db: Connection): Promise<boolean> {
  try {
    const ping = db.db?.command({ ping: 1 }) ?? Promise.reject(new Error("not connected"));
    await withDeadline(PING_MS, ping, () => new Error("no answer"));
    return db.readyState === mongoose.ConnectionStates.connected;
  } catch {
    return false;
  }
}
