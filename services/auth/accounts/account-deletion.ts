import type { DeleteAccountRequest } from "@ticketing/proto/auth/v1/account_service";
import { UserDeletedSchema } from "@ticketing/proto/auth/v1/user_events";
import { record } from "#runtime/store/aggregate.ts";
import type { SignedInCall } from "../call.ts";
import { revokeAccess } from "../user-credentials.ts";
import { hashPassword } from "../sign-in/password-hash.ts";
import type { User } from "../user.ts";
import { mustBeForfeited, requestClaims } from "./claims.ts";
import {
  afterChange,
  updateVerified,
  verifyAccount,
  type AccountDeps,
} from "./verified-account.ts";

/**
 * Deletes a user's personal data. The id stays, because the trades of others refer to it. `unusableHash`
 * is a hash of no known password.
 */
export function anonymize(user: User, unusableHash: string, now: Date): void {
  revokeAccess(user);
  user.email = "";
  user.emailKey = `deleted:${user._id}`;
  user.formerEmails = [];
  user.emailConfirmed = false;
  user.passwordHash = unusableHash;
  user.roles = [];
  user.ban = undefined;
  user.status = "DELETED";
  user.standingTime = now;
  record(user, UserDeletedSchema, () => ({ userId: user._id, version: BigInt(user.version) }));
}

export async function deleteAccount(
  deps: AccountDeps,
  { password, forfeit }: DeleteAccountRequest,
  call: SignedInCall,
) {
  const verified = await verifyAccount(deps, password, call);
  const { _id: id, email } = verified;
  const claims = await requestClaims(deps.claims, id);
  mustBeForfeited(claims, forfeit);
  const unusableHash = await hashPassword(crypto.randomUUID());
  await updateVerified(deps, verified, (user) => {
    anonymize(user, unusableHash, new Date(deps.now()));
    user.forfeited = claims.map((claim) => claim.id);
  });
  deps.cookies.clear(call.responseHeader);
  return afterChange(async () => {
    await deps.sessions.endAll(id);
    await deps.mailQueue.enqueue("deleted", email);
  });
}
