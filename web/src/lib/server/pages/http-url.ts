/** The address, if it is an http(s) URL that a link may lead to; else an empty string. */
export function httpUrl(address: string | undefined): string {
  const { protocol } = URL.parse(address ?? "") ?? {};
  return protocol === "https:" || protocol === "http:" ? (address ?? "") : "";
}
