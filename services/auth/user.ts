import { Schema, type Connection, type HydratedDocument } from "mongoose";
import { aggregate, type AggregateFields } from "#runtime/store/aggregate.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { emailKey } from "./email-address.ts";
import { AuthError } from "./errors.ts";

/** An address that the account used before. */
export interface FormerEmail {
  /** As typed. */
  email: string;
  /** Until this time its owner can restore it. */
  undoUntil: Date;
}

export interface UserFields extends AggregateFields {
  /** As typed when it was set. Emails are sent to this spelling. */
  email: string;
  /** The form for comparison. Unique. */
  emailKey: string;
  /** Whether a link that was sent to the address was used. */
  emailConfirmed: boolean;
  /** The address that the account changes to once a link sent there is used, as typed. */
  newEmail?: string | undefined;
  /** Former addresses that can still be restored, the oldest first. */
  formerEmails?: FormerEmail[];
  /** Every address that no other account may use: its own, and those of `formerEmails`. */
  reservedEmails?: string[];
  passwordHash: string;
  /**
   * Raised by every change that ends all sessions and links in emails. They carry the stamp with which
   * they were created, and are valid only while it is the current one. Absent means 0.
   */
  securityStamp?: number;
  /** The one session that stayed valid when the stamp was last raised. */
  keptSession?: string | undefined;
  roles: "ADMINISTRATOR"[];
  status: "ACTIVE" | "BANNED" | "DELETED";
  /** Present while the user is banned. */
  ban?: { reason: string; time: Date; endsAt?: Date } | undefined;
  /** The ids of the claims that the user forfeited when they deleted their account. */
  forfeited?: string[] | undefined;
  /** When the user was last banned, unbanned or deleted. */
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
// Unique across accounts: nobody else can use an address while it can be restored.
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

/** Matches the account that uses an address, or can still restore it. */
export const emailHolderFilter = (key: string) => ({
  $or: [{ emailKey: key }, { reservedEmails: key }],
});

/** A former address that can still be restored. */
export const findFormerEmail = (user: UserFields, key: string): FormerEmail | undefined =>
  user.formerEmails?.find(({ email }) => emailKey(email) === key);

/** Whether a write failed because another account uses the address. */
export const isEmailTaken = (error: unknown): boolean =>
  ["email", "reservedEmail"].includes(duplicateKeyIndex(error) ?? "");

export const emailTaken = (): Error =>
  new AuthError("EMAIL_TAKEN", "there is an account with this email address already");
