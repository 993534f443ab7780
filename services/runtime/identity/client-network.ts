import { isIP } from "node:net";

/** The edge sets exactly one address in this header. A call that did not pass through the edge has none. */
export const addressOf = (header: Headers): string => header.get("x-forwarded-for") ?? "direct";

/** An address and its family. An IPv4 address in IPv6 notation counts as IPv4. */
export function parseAddress(address: string): { ip: string; family: "ipv4" | "ipv6" } | undefined {
  const ip = address.replace(/^::ffff:(?=\d+\.)/i, "");
  const version = isIP(ip);
  if (version === 0) return undefined;
  return { ip, family: version === 4 ? "ipv4" : "ipv6" };
}

/** One client can choose any address within its IPv6 network, so only the network (/64) counts. */
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
