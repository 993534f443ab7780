import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import { Role } from "@ticketing/proto/web/auth/v1/user";
import type { Api } from "#lib/server/api/api.ts";
import { decodeAccessToken, isUnexpired } from "./access-token.ts";
import type { SessionCookies } from "./session-cookies.ts";

/** A page does not wait longer than this for auth, which may be slow or unavailable. */
const callOptions = { timeoutMs: 2_000 };

/**
 * The user of a request. An expired access token is renewed first, once; a token that auth does not accept
 * (its key was rotated) is renewed once too. A session that cannot be read or renewed makes the request
 * anonymous, so that public pages stay open to everyone.
 */
export async function authenticate(
  api: Api,
  session: SessionCookies,
): Promise<App.User | undefined> {
  let isRenewed = false;
  if (!isUnexpired(session.accessToken) && session.refreshToken) {
    isRenewed = true;
    if (!(await renew(api, session))) return undefined;
  }
  if (!isUnexpired(session.accessToken)) return undefined;
  const user = await currentUser(api, session);
  if (user || isRenewed || !session.refreshToken) return user;
  return (await renew(api, session)) ? currentUser(api, session) : undefined;
}

async function renew(api: Api, session: SessionCookies): Promise<boolean> {
  try {
    await api.auth.refreshSession({}, callOptions);
    return true;
  } catch (cause) {
    // Only auth can say that a session has ended: then its cookies are deleted, and the next page does not
    // try again. After any other error the session stays, and the next page tries again.
    const info = ConnectError.from(cause).findDetails(ErrorInfoSchema)[0];
    if (info && ["SESSION_ENDED", "BANNED"].includes(info.reason)) session.clear();
    else session.isUncertain = true;
    return false;
  }
}

async function currentUser(api: Api, session: SessionCookies): Promise<App.User | undefined> {
  try {
    const { user } = await api.auth.getCurrentUser({}, callOptions);
    return (
      user && {
        id: user.id,
        email: user.email,
        emailConfirmed: user.emailConfirmed,
        isAdministrator: user.roles.includes(Role.ADMINISTRATOR),
      }
    );
  } catch {
    // While auth is unavailable, signed-in users stay signed in (R23): the services verify the token
    // themselves.
    const claims = decodeAccessToken(session.accessToken);
    return claims && { id: claims.userId };
  }
}
