import { createHmac, timingSafeEqual } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { SessionSchema } from "@ticketing/proto/auth/v1/session";
import { Schema, type Connection } from "mongoose";
import { DomainError } from "#runtime/errors.ts";
import { newId } from "#runtime/ids.ts";

export interface SessionFields {
  _id: string;
  userId: string;
  /** What signed in, and where from, in words. */
  device: string;
  place: string;
  createTime: Date;
  /** How often its refresh token was made anew; only the newest one works. */
  generation: number;
  rotatedAt: Date;
  expiresAt: Date;
}

const schema = new Schema<SessionFields>(
  {
    _id: { type: String, required: true },
    userId: { type: String, required: true, index: true },
    device: { type: String, default: "" },
    place: { type: String, default: "" },
    createTime: { type: Date, default: Date.now },
    generation: { type: Number, required: true },
    rotatedAt: { type: Date, required: true },
    expiresAt: { type: Date, required: true, expires: 0 },
  },
  { versionKey: false },
);

export const sessionModel = (db: Connection) => db.model("Session", schema, "sessions");
export type Sessions = ReturnType<typeof sessionModel>;

/** Two tabs, or a lost answer: for so long the last token but one gets the same successor again. */
const GRACE_MS = 10_000;

const ended = (): DomainError =>
  new DomainError("SESSION_ENDED", "the session has ended; sign in again");

interface Options {
  sessions: Sessions;
  /** The server's key that tokens are derived with. */
  key: string;
  lifeMs: number;
  now: () => number;
}

/** What is known of whoever signs in. */
export type Origin = Partial<Pick<SessionFields, "device" | "place">>;

export interface OpenSession {
  id: string;
  userId: string;
  refreshToken: string;
  expiresAt: Date;
}

/**
 * Sessions and their refresh tokens. A token is not stored but derived from the session's id and its
 * generation under a key of the server's: a database that is read by others gives no token away, and
 * the same successor can be given twice.
 */
export function sessionKeeper({ sessions, key, lifeMs, now }: Options) {
  const mac = (id: string, generation: number): string =>
    createHmac("sha256", key).update(`${id}.${generation}`).digest("base64url");

  const tokenOf = (id: string, generation: number): string =>
    `${id}.${generation}.${mac(id, generation)}`;

  const opened = ({ _id, userId, generation, expiresAt }: SessionFields): OpenSession => ({
    id: _id,
    userId,
    expiresAt,
    refreshToken: tokenOf(_id, generation),
  });

  /** What a token says, if it is one of ours to the letter. */
  function read(token: string): { id: string; generation: number } | undefined {
    const [id = "", count = ""] = token.split(".");
    const generation = Number(count);
    const expected = Buffer.from(tokenOf(id, generation));
    const given = Buffer.from(token);
    const ours = given.length === expected.length && timingSafeEqual(given, expected);
    return ours ? { id, generation } : undefined;
  }

  return {
    async begin(userId: string, { device = "", place = "" }: Origin = {}): Promise<OpenSession> {
      const at = new Date(now());
      const expiresAt = new Date(now() + lifeMs);
      const times = { createTime: at, rotatedAt: at, expiresAt };
      const session = { _id: newId(), userId, device, place, generation: 1, ...times };
      await sessions.create(session);
      return opened(session);
    },

    /** Ends the session that a token belongs to, however old the token. */
    async end(token: string): Promise<void> {
      const said = read(token);
      if (said) await sessions.deleteOne({ _id: said.id });
    },

    async endById(id: string): Promise<void> {
      await sessions.deleteOne({ _id: id });
    },

    /** Ends a session, if it is this user's. */
    async endOwn(userId: string, id: string): Promise<void> {
      await sessions.deleteOne({ _id: id, userId });
    },

    /** Ends all sessions of a user, but for one that is to go on. */
    async endAll(userId: string, exceptId?: string): Promise<void> {
      await sessions.deleteMany({ userId, ...(exceptId && { _id: { $ne: exceptId } }) });
    },

    /** Whether a session goes on. */
    async isOpen(id: string): Promise<boolean> {
      return (await sessions.exists({ _id: id, expiresAt: { $gt: new Date(now()) } })) !== null;
    },

    /** A user's sessions, the one used last first. */
    list: (userId: string): Promise<SessionFields[]> =>
      sessions
        .find({ userId, expiresAt: { $gt: new Date(now()) } })
        .sort({ rotatedAt: -1, _id: -1 }),

    /** The session that a token belongs to, by the token's own word, which only we can give. */
    idOf: (token: string): string | undefined => read(token)?.id,

    /** Makes the token's successor. A token that was used before ends the session: it was stolen. */
    async renew(token: string): Promise<OpenSession> {
      const said = read(token);
      if (!said) throw ended();
      const { id: _id, generation } = said;
      const current = { _id, generation, expiresAt: { $gt: new Date(now()) } };
      const rotation = { $inc: { generation: 1 }, $set: { rotatedAt: new Date(now()) } };
      const rotated = await sessions
        .findOneAndUpdate(current, rotation, { returnDocument: "after" })
        .lean();
      if (rotated) return opened(rotated);
      const session = await sessions.findById(_id).lean();
      const repeated =
        session?.generation === generation + 1 &&
        now() - session.rotatedAt.getTime() < GRACE_MS &&
        session.expiresAt.getTime() > now();
      if (repeated) return opened(session);
      await sessions.deleteOne({ _id });
      throw ended();
    },
  };
}
export type SessionKeeper = ReturnType<typeof sessionKeeper>;

/** A session as its own user may see it. */
export const toProto = (
  session: SessionFields,
  currentId: string,
): MessageInitShape<typeof SessionSchema> => ({
  id: session._id,
  device: session.device,
  place: session.place,
  createTime: timestampFromDate(session.createTime),
  lastUseTime: timestampFromDate(session.rotatedAt),
  expiresAt: timestampFromDate(session.expiresAt),
  current: session._id === currentId,
});
