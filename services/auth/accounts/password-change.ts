import type {
  ChangePasswordRequest,
  RequestPasswordResetRequest,
  ResetPasswordRequest,
} from "@ticketing/proto/auth/v1/account_service";
import type { Call, SignedInCall } from "../call.ts";
import { emailKey } from "../email-address.ts";
import { hashPassword } from "../sign-in/password-hash.ts";
import { mustBeAcceptablePassword } from "../sign-in/password-policy.ts";
import { setPassword } from "../user-credentials.ts";
import { findLinkOwner, redeemLink } from "./email-link.ts";
import {
  afterChange,
  updateVerified,
  verifyAccount,
  type AccountDeps,
} from "./verified-account.ts";

export async function changePassword(
  deps: AccountDeps,
  { password, newPassword }: ChangePasswordRequest,
  call: SignedInCall,
) {
  const verified = await verifyAccount(deps, password, call);
  const { _id: id, email } = verified;
  const { sessionId } = call.caller;
  mustBeAcceptablePassword(newPassword, email, "new_password");
  const passwordHash = await hashPassword(newPassword);
  await updateVerified(deps, verified, (user) => setPassword(user, passwordHash, sessionId));
  return afterChange(async () => {
    await deps.sessions.endAll(id, sessionId);
    await deps.mailQueue.enqueue("password", email, id);
  });
}

/** Looks up no account: whether there is one is found out when the email is composed. */
export async function requestPasswordReset(
  { attempts, mailQueue }: AccountDeps,
  { email }: RequestPasswordResetRequest,
  { clientAddress }: Call,
) {
  const key = emailKey(email);
  await attempts.countReset(clientAddress, key);
  if (await attempts.mayReset(key)) await mailQueue.enqueue("reset", key);
  return {};
}

export async function resetPassword(
  deps: AccountDeps,
  { token, newPassword }: ResetPasswordRequest,
  { clientAddress }: Call,
) {
  await deps.attempts.count(clientAddress);
  const { _id: id, email } = await findLinkOwner(deps, "reset", token);
  mustBeAcceptablePassword(newPassword, email, "new_password");
  const passwordHash = await hashPassword(newPassword);
  await redeemLink(deps, "reset", token, (user) => {
    setPassword(user, passwordHash);
    user.emailConfirmed = true; // The link was sent to this address.
  });
  return afterChange(async () => {
    await deps.sessions.endAll(id);
    await deps.mailQueue.enqueue("password", email, id);
  });
}
