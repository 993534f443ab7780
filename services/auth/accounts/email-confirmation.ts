import type { ConfirmEmailRequest } from "@ticketing/proto/auth/v1/account_service";
import type { Call, SignedInCall } from "../call.ts";
import { emailKey } from "../email-address.ts";
import { AuthError } from "../errors.ts";
import { requireSession } from "../sessions/session-guard.ts";
import { emailTaken, findFormerEmail, isEmailTaken } from "../user.ts";
import { redeemLink } from "./email-link.ts";
import { applyEmailChange, confirmEmailAddress } from "./user-email.ts";
import { afterChange, type AccountDeps } from "./verified-account.ts";

export async function sendConfirmation(deps: AccountDeps, { caller, clientAddress }: SignedInCall) {
  const user = await requireSession(deps, caller);
  if (user.emailConfirmed) {
    throw new AuthError("EMAIL_CONFIRMED", "this address is confirmed already");
  }
  await deps.attempts.count(clientAddress);
  await deps.attempts.countMail(user.emailKey, user.emailKey);
  await deps.mailQueue.enqueue("confirm", user.email, user._id);
  return {};
}

/** Confirms the address of an account, or the new address that it changes to. */
export async function confirmEmail(
  deps: AccountDeps,
  { token }: ConfirmEmailRequest,
  { clientAddress }: Call,
) {
  await deps.attempts.count(clientAddress);
  if (deps.links.claimedPurpose(token) === "move") return confirmNewEmail(deps, token);
  await redeemLink(deps, "confirm", token, confirmEmailAddress);
  return {};
}

async function confirmNewEmail(deps: AccountDeps, token: string) {
  const { sessions, links, mailQueue, now } = deps;
  let formerEmail = "";
  let canUndo = false;
  await redeemLink(deps, "move", token, (user) => {
    formerEmail = user.email;
    applyEmailChange(user, new Date(now()));
    canUndo = findFormerEmail(user, emailKey(formerEmail)) !== undefined;
  }).catch((error: unknown) => {
    throw isEmailTaken(error) ? emailTaken() : error;
  });
  const id = links.claimedUserId(token);
  return afterChange(async () => {
    await mailQueue.enqueue(canUndo ? "moved" : "undone", formerEmail, id);
    await sessions.endAll(id);
  });
}
