interface SetCookie {
  name: string;
  value: string;
  isDeleted: boolean;
}

/** Reads a `Set-Cookie` line: its name, its value, and whether it deletes the cookie. */
export function parseSetCookie(line: string): SetCookie {
  const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
  const separator = pair.indexOf("=");
  const value = pair.slice(separator + 1);
  const expires = attributes.find((each) => /^expires=/i.test(each))?.slice("expires=".length);
  const isDeleted =
    value === "" ||
    attributes.some((each) => /^max-age=(0|-\d+)$/i.test(each)) ||
    (expires !== undefined && Date.parse(expires) <= Date.now());
  return { name: pair.slice(0, Math.max(separator, 0)), value, isDeleted };
}
