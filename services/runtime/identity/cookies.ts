/** The cookies of a browser's session. */
export const ACCESS_COOKIE = "ticketing_access";
export const REFRESH_COOKIE = "ticketing_refresh";

/** Under TLS the prefix ties a cookie to this host: no other site of the domain can set it. */
export const cookieName = (name: string, secure: boolean): string =>
  secure ? `__Host-${name}` : name;

/** Reads a cookie of a request. Of several with the same name the first counts, as it does at the edge. */
export function readCookie(header: Headers, name: string, secure: boolean): string | undefined {
  const pairs = (header.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  const prefix = `${cookieName(name, secure)}=`;
  return pairs.find((pair) => pair.startsWith(prefix))?.slice(prefix.length);
}
