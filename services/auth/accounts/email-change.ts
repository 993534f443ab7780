import type {
  ChangeEmailRequest,
  UndoEmailChangeRequest,
} from "@ticketing/proto/auth/v1/account_service";
import { invalidField } from "#runtime/errors.ts";
import type { Call, SignedInCall } from "../call.ts";
import { emailKey, mustBeEmailAddress } from "../email-address.ts";
import { hashPassword } from "../sign-in/password-hash.ts";
import { mustBeAcceptablePassword } from "../sign-in/password-policy.ts";
import { emailHolderFilter } from "../user.ts";
import { findLinkOwner, redeemLink } from "./email-link.ts";
import { requestEmailChange, restoreFormerEmail } from "./user-email.ts";
import {
  afterChange,
  updateVerified,
  verifyAccount,
  type AccountDeps,
} from "./verified-account.ts";

export async function changeEmail(
  deps: AccountDeps,
  { password, newEmail }: ChangeEmailRequest,
  call: SignedInCall,
) {
  const { users, attempts, mailQueue } = deps;
  mustBeEmailAddress(newEmail, "new_email");
  const verified = await verifyAccount(deps, password, call);
  const { _id: id, email, emailKey: key } = verified;
  const newKey = emailKey(newEmail);
  if (newKey === key) throw invalidField("new_email", "is the address that the account has");
  await attempts.countMail(newKey, key);
  // Only the new address is told whether it has an account.
  const byOther = { _id: { $ne: id }, ...emailHolderFilter(newKey) };
  const holder = await users.findOne(byOther, { email: 1, emailKey: 1 }).lean();
  await updateVerified(deps, verified, (user) => requestEmailChange(user, newEmail));
  // In its holder's spelling. A reserved address is only known as it was typed now.
  const isInUse = holder?.emailKey === newKey;
  return afterChange(async () => {
    await mailQueue.enqueue("moving", email, id);
    await mailQueue.enqueue(holder ? "taken" : "move", isInUse ? holder.email : newEmail, id);
  });
}

export async function undoEmailChange(
  deps: AccountDeps,
  { token, newPassword }: UndoEmailChangeRequest,
  { clientAddress }: Call,
) {
  const { sessions, attempts, links, mailQueue } = deps;
  await attempts.count(clientAddress);
  const owner = await findLinkOwner(deps, "undo", token);
  const { _id: id, email: undoneEmail } = owner;
  const email = links.formerEmailOf(token, owner)?.email ?? "";
  mustBeAcceptablePassword(newPassword, email, "new_password");
  const passwordHash = await hashPassword(newPassword);
  await redeemLink(deps, "undo", token, (user) => {
    const former = links.formerEmailOf(token, user);
    if (former) restoreFormerEmail(user, former, passwordHash);
  });
  return afterChange(async () => {
    await sessions.endAll(id);
    await mailQueue.enqueue("password", email, id);
    await mailQueue.enqueue("undone", undoneEmail);
  });
}
