import { createHmac, timingSafeEqual } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { SessionSchema } from "@ticketing/proto/auth/v1/session";
import { Schema, type Connection } from "mongoose";
import type { DomainError } from "#runtime/errors.ts";
import { AuthError } from "../errors.ts";
import { newId } from "#runtime/store/ids.ts";
import { securityStampOf } from "../security-stamp.ts";
import type { UserFields } from "../user.ts";

export interface SessionFields {
  _id: string;
  userId: string;
  /** The user's security stamp when it was begun: a session of an older one has ended. */
  securityStamp?: number;
  /** What signed in, and where from, in words. */
  device: string;
  place: string;
  createTime: Date;
  /** How often its refresh token was made anew; only the newest one works. */
  generation: number;
  rotatedAt: Date;
  /** The newest token may never have arrived, by a fault of ours; see `unanswered`. */
  unanswered?: boolean;
  expiresAt: Date;
}

const schema = new Schema<SessionFields>(
  {
    _id: { type: String, required: true },
    userId: { type: String, required: true, index: true },
    securityStamp: { type: Number, default: 0 },
    device: { type: String, default: "" },
    place: { type: String, default: "" },
    createTime: { type: Date, default: Date.now },
    generation: { type: Number, required: true },
    rotatedAt: { type: Date, required: true },
    unanswered: Boolean,
    expiresAt: { type: Date, required: true, expires: 0 },
  },
  { versionKey: false },
);

export const sessionModel = (db: Connection) => db.model("Session", schema, "sessions");
export type Sessions = ReturnType<typeof sessionModel>;

/** Two tabs, or a lost answer: for so long the last token but one gets the same successor again. */
const GRACE_MS = 10_000;

/** So many failed answers are remembered at most. */
const MOST_DOUBTS = 10_000;

const ended = (): DomainError =>
  new AuthError("SESSION_ENDED", "the session has ended; sign in again");

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
  securityStamp: number;
  refreshToken: string;
  rotatedAt: Date;
  expiresAt: Date;
}

type Owner = Pick<UserFields, "_id" | "securityStamp" | "keptSession">;

/**
 * Whether nothing has ended the session since it was begun. Sessions are deleted too, but one that was
 * begun in that very moment is not found by that: this finds it.
 */
export const isCurrent = (
  { id, securityStamp = 0 }: { id: string; securityStamp?: number | undefined },
  owner: Owner,
): boolean => securityStamp === securityStampOf(owner) || id === owner.keptSession;

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

  const opened = (session: SessionFields): OpenSession => ({
    id: session._id,
    userId: session.userId,
    securityStamp: session.securityStamp ?? 0,
    rotatedAt: session.rotatedAt,
    expiresAt: session.expiresAt,
    refreshToken: tokenOf(session._id, session.generation),
  });

  /** Renewals whose answer may not have arrived, where that is not stored yet: when each was made. */
  const doubts = new Map<string, Date>();

  function doubt(id: string, rotatedAt: Date): void {
    if (doubts.size < MOST_DOUBTS) doubts.set(id, rotatedAt);
  }

  /** What a token says, if it is one of ours to the letter. */
  function read(token: string): { id: string; generation: number } | undefined {
    const [id = "", count = ""] = token.split(".");
    const generation = Number(count);
    const expected = Buffer.from(tokenOf(id, generation));
    const given = Buffer.from(token);
    const ours = given.length === expected.length && timingSafeEqual(given, expected);
    return ours ? { id, generation } : undefined;
  }

  /** Whether this is the last token but one, from somebody who has not had its successor. */
  function isRepeat(session: SessionFields, generation: number): boolean {
    const { _id, generation: newest, rotatedAt, expiresAt, unanswered } = session;
    if (newest !== generation + 1 || expiresAt.getTime() <= now()) return false;
    if (unanswered || doubts.get(_id)?.getTime() === rotatedAt.getTime()) return true;
    return now() - rotatedAt.getTime() < GRACE_MS;
  }

  return {
    /** Begins a session of the user as they were when their password was checked. */
    async begin(user: Owner, { device = "", place = "" }: Origin = {}): Promise<OpenSession> {
      const at = new Date(now());
      const expiresAt = new Date(now() + lifeMs);
      const times = { createTime: at, rotatedAt: at, expiresAt };
      const owner = { userId: user._id, securityStamp: securityStampOf(user) };
      const session = { _id: newId(), ...owner, device, place, generation: 1, ...times };
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

    /** Whether one of the user's sessions goes on. */
    async isOpen(id: string, owner: Owner): Promise<boolean> {
      const mine = { _id: id, userId: owner._id, expiresAt: { $gt: new Date(now()) } };
      const session = await sessions.findOne(mine).lean();
      return session !== null && isCurrent(opened(session), owner);
    },

    /** A user's sessions, the one used last first. */
    async list(owner: Owner): Promise<SessionFields[]> {
      const open = { userId: owner._id, expiresAt: { $gt: new Date(now()) } };
      const found = await sessions.find(open).sort({ rotatedAt: -1, _id: -1 }).lean();
      return found.filter((session) => isCurrent(opened(session), owner));
    },

    /** The session that a token belongs to, by the token's own word, which only we can give. */
    idOf: (token: string): string | undefined => read(token)?.id,

    /** Makes the token's successor. A token that was used before ends the session: it was stolen. */
    async renew(token: string): Promise<OpenSession> {
      const said = read(token);
      if (!said) throw ended();
      const { id: _id, generation } = said;
      const current = { _id, generation, expiresAt: { $gt: new Date(now()) } };
      const rotatedAt = new Date(now());
      const rotation = {
        $inc: { generation: 1 },
        $set: { rotatedAt },
        $unset: { unanswered: 1 as const },
      };
      const rotated = await sessions
        .findOneAndUpdate(current, rotation, { returnDocument: "after" })
        .lean()
        .catch((error: unknown) => {
          doubt(_id, rotatedAt); // It may have been written all the same.
          throw error;
        });
      if (rotated) return opened(rotated);
      const session = await sessions.findById(_id).lean();
      if (session && isRepeat(session, generation)) return opened(session);
      await sessions.deleteOne({ _id });
      throw ended();
    },

    /**
     * This renewal was not answered, by a fault of ours. Whoever comes with the token of before again is
     * no thief, however late: until the successor is used, they get it. While the database is away this
     * is remembered here.
     */
    unanswered: ({ id, rotatedAt }: OpenSession): void => doubt(id, rotatedAt),

    /** Stores what is remembered of answers that failed. */
    async settleDoubts(): Promise<void> {
      for (const [_id, rotatedAt] of [...doubts]) {
        await sessions.updateOne({ _id, rotatedAt }, { $set: { unanswered: true } });
        if (doubts.get(_id) === rotatedAt) doubts.delete(_id);
      }
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
