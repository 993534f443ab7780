import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { UserCreatedSchema, type UserStateSchema } from "@ticketing/proto/auth/v1/user_events";
import { Role, UserStatus, type UserSchema } from "@ticketing/proto/auth/v1/user";
import { Schema, type Connection, type HydratedDocument } from "mongoose";
import { aggregate, record, type AggregateFields } from "#runtime/store/aggregate.ts";
import type { DomainError } from "#runtime/errors.ts";
import { AuthError } from "./errors.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { emailKey } from "./accounts/email-address.ts";

type RoleWord = "ADMINISTRATOR";
type Status = "ACTIVE" | "BANNED" | "DELETED";

/** An address that the account has left. */
export interface FormerEmail {
  /** As typed. */
  email: string;
  /** Until then its owner can put it back. */
  undoUntil: Date;
}

export interface UserFields extends AggregateFields {
  /** As typed when the account took it on; mail goes there. */
  email: string;
  /** As compared: unique. */
  emailKey: string;
  /** Whether a mail sent there was answered. */
  emailConfirmed: boolean;
  /** The address that the account moves to once a mail sent there is answered; as typed. */
  newEmail?: string | undefined;
  /** Addresses that the account has left and can still be given back to, the oldest first. */
  formerEmails?: FormerEmail[];
  /** Every address that no other account may take: its own, and those of `formerEmails`. */
  reservedEmails?: string[];
  passwordHash: string;
  /**
   * Raised by whatever ends all sessions and all links in mails. Both carry the one that they were made
   * under, and count only while it is still this one. Absent means 0.
   */
  securityStamp?: number;
  /** The one session that went on when the stamp was last raised. */
  keptSession?: string | undefined;
  roles: RoleWord[];
  status: Status;
  /** There while they are banned. */
  ban?: { reason: string; time: Date; endsAt?: Date } | undefined;
  /** What was due to them when they left, and they gave up: ids of claims. */
  forfeited?: string[] | undefined;
  /** When they were last put out, or let in again. */
  standingTime?: Date | undefined;
}

const schema = new Schema<UserFields>({
  email: { type: String, default: "" },
  emailKey: { type: String, required: true },
  emailConfirmed: { type: Boolean, default: false },
  newEmail: String,
  formerEmails: [new Schema<FormerEmail>({ email: String, undoUntil: Date }, { _id: false })],
  reservedEmails: { type: [String], default: undefined },
  passwordHash: { type: String, required: true, select: false },
  securityStamp: { type: Number, default: 0 },
  keptSession: String,
  roles: { type: [String], default: [] },
  status: { type: String, required: true },
  ban: { type: new Schema({ reason: String, time: Date, endsAt: Date }, { _id: false }) },
  forfeited: { type: [String], default: undefined },
  standingTime: Date,
});
aggregate(schema);
schema.index({ emailKey: 1 }, { name: "email", unique: true });
// Across accounts: an address that can be put back is nobody else's until then.
schema.index({ reservedEmails: 1 }, { name: "reservedEmail", unique: true, sparse: true });
schema.index({ "formerEmails.undoUntil": 1 }, { sparse: true });
schema.index({ status: 1, _id: -1 });
schema.index({ "ban.endsAt": 1 }, { sparse: true });
schema.index({ standingTime: 1 }, { sparse: true });

schema.pre("save", function () {
  const former = (this.formerEmails ?? []).map(({ email }) => emailKey(email));
  this.reservedEmails = [this.emailKey, ...former];
});

export const userModel = (db: Connection) => db.model("User", schema, "users");
export type Users = ReturnType<typeof userModel>;
export type User = HydratedDocument<UserFields>;

export { emailKey };

/** Finds whoever has the address, or can still go back to it. */
export const holderOf = (key: string) => ({ $or: [{ emailKey: key }, { reservedEmails: key }] });

/** Whether a write was refused because another account has the address. */
export const isEmailTaken = (error: unknown): boolean =>
  ["email", "reservedEmail"].includes(duplicateKeyIndex(error) ?? "");

export const emailTaken = (): DomainError =>
  new AuthError("EMAIL_TAKEN", "there is an account with this email address already");

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
