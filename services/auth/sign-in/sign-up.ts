import { TokenDelivery, type SignUpRequest } from "@ticketing/proto/auth/v1/auth_service";
import { UserCreatedSchema } from "@ticketing/proto/auth/v1/user_events";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { record } from "#runtime/store/aggregate.ts";
import type { Call } from "../call.ts";
import { emailKey, mustBeEmailAddress } from "../email-address.ts";
import { toUserState } from "../user-message.ts";
import { emailHolderFilter, emailTaken, isEmailTaken, type User } from "../user.ts";
import { hashPassword } from "./password-hash.ts";
import { mustBeAcceptablePassword } from "./password-policy.ts";
import { deliverSession, sessionOriginOf, type SignInDeps } from "./session-delivery.ts";

/** Makes a new user an active one. */
export function register(user: User): void {
  user.status = "ACTIVE";
  record(user, UserCreatedSchema, () => ({ user: toUserState(user) }));
}

async function createAccount(
  { users, attempts }: SignInDeps,
  { email, password }: SignUpRequest,
  { clientAddress }: Call,
): Promise<User> {
  mustBeEmailAddress(email, "email");
  const key = emailKey(email);
  await attempts.countSignUp(clientAddress, key);
  mustBeAcceptablePassword(password, email);
  if (await users.exists(emailHolderFilter(key))) throw emailTaken();
  await attempts.countMail(key);
  const passwordHash = await hashPassword(password);
  const user = new users({ email, emailKey: key, passwordHash });
  register(user);
  await user.save().catch((error: unknown) => {
    throw isEmailTaken(error) ? emailTaken() : error;
  });
  return user;
}

export async function signUp(deps: SignInDeps, request: SignUpRequest, call: Call) {
  const { sessions, attempts, mailQueue } = deps;
  const user = await createAccount(deps, request, call);
  // The account is stored, so its email is enqueued, also when the client has stopped waiting.
  return runWithoutDeadline(async () => {
    await mailQueue.enqueue("welcome", user.email, user._id);
    await attempts.recordSuccess(call.clientAddress, user.emailKey);
    const session = await sessions.start(user, sessionOriginOf(call));
    return deliverSession(deps, user, session, request.tokenDelivery === TokenDelivery.BODY, call);
  });
}
