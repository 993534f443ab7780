import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { UserCreatedSchema, type UserStateSchema } from "@ticketing/proto/auth/v1/user_events";
import { Role, UserStatus, type UserSchema } from "@ticketing/proto/auth/v1/user";
import { Schema, type Connection, type HydratedDocument } from "mongoose";
import { aggregate, record, type AggregateFields } from "#runtime/aggregate.ts";

type RoleWord = "ADMINISTRATOR";
type Status = "ACTIVE" | "BANNED";

export interface UserFields extends AggregateFields {
  /** As typed. */
  email: string;
  /** As compared: unique. */
  emailKey: string;
  passwordHash: string;
  roles: RoleWord[];
  status: Status;
}

const schema = new Schema<UserFields>({
  email: { type: String, required: true },
  emailKey: { type: String, required: true },
  passwordHash: { type: String, required: true, select: false },
  roles: { type: [String], default: [] },
  status: { type: String, required: true },
});
aggregate(schema);
schema.index({ emailKey: 1 }, { name: "email", unique: true });

export const userModel = (db: Connection) => db.model("User", schema, "users");
export type Users = ReturnType<typeof userModel>;
export type User = HydratedDocument<UserFields>;

/** One address, however it is written. */
export const emailKey = (email: string): string => email.normalize("NFC").toLowerCase();

/** The user as they may see themselves. */
export const toProto = (user: UserFields): MessageInitShape<typeof UserSchema> => ({
  id: user._id,
  email: user.email,
  roles: user.roles.map((role) => Role[role]),
  status: UserStatus[user.status],
  version: BigInt(user.version),
  createTime: timestampFromDate(user.createTime),
});

/** The user as other services may know them: no email, no name. */
const toState = (user: UserFields): MessageInitShape<typeof UserStateSchema> => ({
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
