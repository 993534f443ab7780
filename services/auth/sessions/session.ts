import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { SessionSchema } from "@ticketing/proto/auth/v1/session";
import { Schema, type Connection } from "mongoose";
import { AuthError } from "../errors.ts";
import { securityStampOf } from "../user-credentials.ts";
import type { UserFields } from "../user.ts";

export interface SessionFields {
  _id: string;
  userId: string;
  /** The user's security stamp at sign-in. A session with an older stamp than the user's has ended. */
  securityStamp?: number;
  /** A description of the device. */
  device: string;
  /** A description of the client network. */
  place: string;
  createTime: Date;
  /** How often the refresh token was rotated. Only the newest one is valid. */
  generation: number;
  rotatedAt: Date;
  /** The newest token may not have reached the client, by a server failure; see `markUndelivered`. */
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

/** The fields of a user that decide which of their sessions are valid. */
export type SessionOwner = Pick<UserFields, "_id" | "securityStamp" | "keptSession">;

/**
 * Whether nothing has ended the session since it was started. Ending sessions deletes them too, but a
 * session that is started concurrently may escape the deletion.
 */
export const isCurrent = (
  { id, securityStamp = 0 }: { id: string; securityStamp?: number | undefined },
  owner: SessionOwner,
): boolean => securityStamp === securityStampOf(owner) || id === owner.keptSession;

export const sessionEnded = (): Error =>
  new AuthError("SESSION_ENDED", "the session has ended; sign in again");

/** A session as its own user may see it. */
export const toSessionMessage = (
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
