import {
  ACCESS_COOKIE,
  cookieName,
  readCookie,
  REFRESH_COOKIE,
} from "#runtime/identity/cookies.ts";

/** The two cookies of a browser's session. */
export interface SessionCookies {
  set(header: Headers, access: Cookie, refresh: Cookie): void;
  clear(header: Headers): void;
  /** The refresh token in a browser's request. */
  refreshToken(header: Headers): string | undefined;
}

interface Cookie {
  value: string;
  expiresAt: Date;
}

/**
 * No script can read the cookies, no form of another site sends them, and under TLS the `__Host-` prefix
 * ties them to this host.
 */
export function sessionCookies(secure: boolean): SessionCookies {
  const serialize = (name: string, { value, expiresAt }: Cookie): string => {
    const maxAge = Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000));
    const attributes = `Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
    return `${cookieName(name, secure)}=${value}; ${attributes}`;
  };
  const expired = { value: "", expiresAt: new Date(0) };

  function set(header: Headers, access: Cookie, refresh: Cookie): void {
    header.append("set-cookie", serialize(ACCESS_COOKIE, access));
    header.append("set-cookie", serialize(REFRESH_COOKIE, refresh));
    header.set("cache-control", "no-store");
  }
  return {
    set,
    clear: (header) => set(header, expired, expired),
    refreshToken: (header) => readCookie(header, REFRESH_COOKIE, secure),
  };
}
