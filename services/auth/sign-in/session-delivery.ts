import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Call } from "../call.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import type { MailQueue } from "../mail/mail-queue.ts";
import { describeDevice } from "../sessions/device.ts";
import { networkLabel } from "../sessions/network-label.ts";
import type { SessionCookies } from "../sessions/session-cookies.ts";
import type { SessionDeps } from "../sessions/session-guard.ts";
import type { OpenSession, SessionOrigin } from "../sessions/session-store.ts";
import { toUserMessage } from "../user-message.ts";
import type { UserFields } from "../user.ts";
import type { AttemptLimits } from "./attempt-limits.ts";

export interface SignInDeps extends SessionDeps {
  keys: SigningKeys;
  cookies: SessionCookies;
  attempts: AttemptLimits;
  mailQueue: MailQueue;
}

/** The device and the client network of a call. */
export const sessionOriginOf = ({ requestHeader, clientAddress }: Call): SessionOrigin => ({
  device: describeDevice(requestHeader.get("user-agent") ?? ""),
  place: networkLabel(clientAddress),
});

/** Delivers the tokens of a session: in cookies to browsers, in the body to clients that request it. */
export async function deliverSession(
  { keys, cookies }: Pick<SignInDeps, "keys" | "cookies">,
  user: UserFields,
  session: OpenSession,
  inBody: boolean,
  { responseHeader }: Call,
) {
  const { token: accessToken, expiresAt } = await keys.sign({
    userId: user._id,
    sessionId: session.id,
    roles: user.roles.map((role) => role.toLowerCase()),
    emailConfirmed: user.emailConfirmed,
  });
  const { refreshToken } = session;
  if (inBody) {
    const accessExpiresAt = timestampFromDate(expiresAt);
    return { user: toUserMessage(user), tokens: { accessToken, accessExpiresAt, refreshToken } };
  }
  const access = { value: accessToken, expiresAt };
  const refresh = { value: refreshToken, expiresAt: session.expiresAt };
  cookies.set(responseHeader, access, refresh);
  return { user: toUserMessage(user) };
}
