import {
  ACCESS_COOKIE,
  readCookie,
  cookieName,
  REFRESH_COOKIE,
} from "#runtime/rpc/authentication.ts";

/** Writes the two cookies of a browser's session, reads and clears them. */
export interface SessionCookies {
  set(header: Headers, access: Cookie, refresh: Cookie): void;
  clear(header: Headers): void;
  /** The refresh token that a browser sends along. */
  refreshToken(header: Headers): string | undefined;
}

interface Cookie {
  value: string;
  expiresAt: Date;
}

/**
 * No script can read them, no other site's form carries them, and under TLS the `__Host-` prefix
 * ties them to this host alone.
 */
export function sessionCookies(secure: boolean): SessionCookies {
  const line = (name: string, { value, expiresAt }: Cookie): string => {
    const left = Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000));
    const attributes = `Path=/; Max-Age=${left}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
    return `${cookieName(name, secure)}=${value}; ${attributes}`;
  };
  const gone = { value: "", expiresAt: new Date(0) };

  function set(header: Headers, access: Cookie, refresh: Cookie): void {
    header.append("set-cookie", line(ACCESS_COOKIE, access));
    header.append("set-cookie", line(REFRESH_COOKIE, refresh));
    header.set("cache-control", "no-store");
  }
  return {
    set,
    clear: (header) => set(header, gone, gone),
    refreshToken: (header) => readCookie(header, REFRESH_COOKIE, secure),
  };
}
