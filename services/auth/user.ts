import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { UserCreatedSchema, type UserStateSchema } from "@ticketing/proto/auth/v1/user_events";
import { Role, UserStatus, type UserSchema } from "@ticketing/proto/auth/v1/user";
import { Schema, type Connection, type HydratedDocument } from "mongoose";
import { aggregate, record, type AggregateFields } from "#runtime/aggregate.ts";
import { DomainError } from "#runtime/errors.ts";

type RoleWord = "ADMINISTRATOR";
type Status = "ACTIVE" | "BANNED" | "DELETED";

export interface UserFields extends AggregateFields {
  /** As typed. */
  email: string;
  /** As compared: unique. */
  emailKey: string;
  /** Whether a mail sent there was answered. */
  emailConfirmed: boolean;
  /** The address that the account moves to once a mail sent there is answered; as typed. */
  newEmail?: string | undefined;
  passwordHash: string;
  roles: RoleWord[];
  status: Status;
  /** There while they are banned. */
  ban?: { reason: string; time: Date; endsAt?: Date } | undefined;
  /** When they were last put out, or let in again. */
  standingTime?: Date | undefined;
}

const schema = new Schema<UserFields>({
  email: { type: String, default: "" },
  emailKey: { type: String, required: true },
  emailConfirmed: { type: Boolean, default: false },
  newEmail: String,
  passwordHash: { type: String, required: true, select: false },
  roles: { type: [String], default: [] },
  status: { type: String, required: true },
  ban: { type: new Schema({ reason: String, time: Date, endsAt: Date }, { _id: false }) },
  standingTime: Date,
});
aggregate(schema);
schema.index({ emailKey: 1 }, { name: "email", unique: true });
schema.index({ status: 1, _id: -1 });
schema.index({ "ban.endsAt": 1 }, { sparse: true });
schema.index({ standingTime: 1 }, { sparse: true });

export const userModel = (db: Connection) => db.model("User", schema, "users");
export type Users = ReturnType<typeof userModel>;
export type User = HydratedDocument<UserFields>;

/** One address, however it is written. */
export const emailKey = (email: string): string => email.normalize("NFC").toLowerCase();

export const emailTaken = (): DomainError =>
  new DomainError("EMAIL_TAKEN", "there is an account with this email address already");

/** The user as they may see themselves. */
export const toProto = (user: UserFields): MessageInitShape<typeof UserSchema> => ({
  id: user._id,
  email: user.email,
  roles: user.roles.map((role) => Role[role]),
  status: UserStatus[user.status],
  version: BigInt(user.version),
  createTime: timestampFromDate(user.createTime),
  emailConfirmed: user.emailConfirmed,
});

/** The user as other services may know them: no email, no name. */
export const toState = (user: UserFields): MessageInitShape<typeof UserStateSchema> => ({
  id: user._id,
  roles: user.roles.map((role) => Role[role]),
  status: UserStatus[user.status],
  version: BigInt(user.version),
});

/** A new account. */
export function enrol(user: User): void {
  user.status = "ACTIVE";
  record(user, UserCreatedSchema, () => ({ user: toState(user) }));
}
