/** The three things of a `Set-Cookie` line that matter here: name, value, and whether it deletes. */
export function parseSetCookie(line: string): { name: string; value: string; gone: boolean } {
  const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
  const at = pair.indexOf("=");
  const value = pair.slice(at + 1);
  const expires = attributes.find((each) => /^expires=/i.test(each))?.slice("expires=".length);
  const gone =
    value === "" ||
    attributes.some((each) => /^max-age=(0|-\d+)$/i.test(each)) ||
    (expires !== undefined && Date.parse(expires) <= Date.now());
  return { name: pair.slice(0, Math.max(at, 0)), value, gone };
}
