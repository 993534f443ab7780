/** The cookies of a browser session. */
export const ACCESS_COOKIE = "ticketing_access";
export const REFRESH_COOKIE = "ticketing_refresh";

/** Under TLS the prefix binds a cookie to this host: no other site of the domain can set it. */
export const cookieName = (name: string, secure: boolean): string =>
  secure ? `__Host-${name}` : name;

/** Reads a cookie of a request. If several have the same name, the first one counts, as at the edge. */
export function readCookie(
  header: Pick<Headers, "get">,
  name: string,
  secure: boolean,
): string | undefined {
  const pairs = (header.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  const prefix = `${cookieName(name, secure)}=`;
  return pairs.find((pair) => pair.startsWith(prefix))?.slice(prefix.length);
}
