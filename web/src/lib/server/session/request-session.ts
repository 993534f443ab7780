import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import { Role } from "@ticketing/proto/web/auth/v1/user";
import type { Api } from "#lib/server/api/api.ts";
import { isUnexpired, decodeAccessToken, type SessionCookies } from "./session-cookies.ts";

/** Auth may be slow or gone: a page does not wait for it longer than this. */
const brief = { timeoutMs: 2_000 };

/**
 * Who is visiting. An access token that is over is renewed first, once; one that auth does not accept
 * (a key has changed) is worth that one try too. What cannot be read or renewed makes a stranger, and
 * so nobody is locked out of an open page.
 */
export async function authenticate(api: Api, session: SessionCookies) {
  let renewed = false;
  if (!isUnexpired(session.access) && session.refresh) {
    renewed = true;
    if (!(await renew(api, session))) return undefined;
  }
  if (!isUnexpired(session.access)) return undefined;
  const user = await currentUser(api, session);
  if (user || renewed || !session.refresh) return user;
  return (await renew(api, session)) ? currentUser(api, session) : undefined;
}

async function renew(api: Api, session: SessionCookies): Promise<boolean> {
  try {
    await api.auth.refreshSession({}, brief);
    return true;
  } catch (cause) {
    // Over for good, by auth's own word: forgotten, so that the next page does not ask again. Whatever
    // else went wrong is no word on the session: it stays, and the next page asks again.
    const info = ConnectError.from(cause).findDetails(ErrorInfoSchema)[0];
    if (info && ["SESSION_ENDED", "BANNED"].includes(info.reason)) session.forget();
    else session.isUncertain = true;
    return false;
  }
}

async function currentUser(api: Api, session: SessionCookies): Promise<App.User | undefined> {
  try {
    const { user } = await api.auth.getCurrentUser({}, brief);
    return (
      user && {
        id: user.id,
        email: user.email,
        emailConfirmed: user.emailConfirmed,
        isAdministrator: user.roles.includes(Role.ADMINISTRATOR),
      }
    );
  } catch {
    // Auth is away, and signed-in users go on (R23): the services check the token by themselves.
    const token = decodeAccessToken(session.access);
    return token && { id: token.sub };
  }
}
