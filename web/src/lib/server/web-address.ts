/** An address that a link may lead to; nothing where it is none. */
export function webAddress(address: string | undefined): string {
  const { protocol } = URL.parse(address ?? "") ?? {};
  return protocol === "https:" || protocol === "http:" ? (address ?? "") : "";
}
