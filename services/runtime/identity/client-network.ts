import { isIP } from "node:net";

/** The edge writes exactly one address there; a call that did not come through it has none. */
export const addressOf = (header: Headers): string => header.get("x-forwarded-for") ?? "direct";

/** An address and its family; IPv4 also where it is written as IPv6. */
export function parseAddress(address: string): { ip: string; family: "ipv4" | "ipv6" } | undefined {
  const ip = address.replace(/^::ffff:(?=\d+\.)/i, "");
  const version = isIP(ip);
  if (version === 0) return undefined;
  return { ip, family: version === 4 ? "ipv4" : "ipv6" };
}

/** What one client can choose freely counts as one: of an IPv6 address only its network, a /64. */
export function networkOf(address: string): string {
  const found = parseAddress(address);
  if (found?.family !== "ipv6") return found?.ip ?? address;
  const [head = "", tail] = found.ip.split("%", 1)[0]?.split("::") ?? [];
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const [front, back] = [groups(head), groups(tail ?? "")];
  const gap = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  const whole = [...front, ...Array<string>(gap).fill("0"), ...back];
  return `${whole
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
