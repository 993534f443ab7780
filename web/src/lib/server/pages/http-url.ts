/** An address that a link may lead to; nothing where it is none. */
export function httpUrl(address: string | undefined): string {
  const { protocol } = URL.parse(address ?? "") ?? {};
  return protocol === "https:" || protocol === "http:" ? (address ?? "") : "";
}
