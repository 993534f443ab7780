import mongoose, { mongo, type Connection, type ConnectOptions } from "mongoose";
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
