import { BlockList, isIP } from "node:net";

/** The edge writes exactly one address there; a call that did not come through it has none. */
export const addressOf = (header: Headers): string => header.get("x-forwarded-for") ?? "direct";

const machine = new BlockList();
machine.addSubnet("127.0.0.0", 8);
machine.addAddress("::1", "ipv6");

const privately = new BlockList();
for (const [network, length] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
] as const) {
  privately.addSubnet(network, length);
}
privately.addSubnet("fc00::", 7, "ipv6");
privately.addSubnet("fe80::", 10, "ipv6");

/** IPv4 also where it is written as IPv6. */
function plain(address: string): { ip: string; family: "ipv4" | "ipv6" } | undefined {
  const ip = address.replace(/^::ffff:(?=\d+\.)/i, "");
  const version = isIP(ip);
  if (version === 0) return undefined;
  return { ip, family: version === 4 ? "ipv4" : "ipv6" };
}

/** Where an address is, in words, as far as it tells: of the open internet it tells nothing. */
export function placeOf(address: string): string {
  const found = plain(address);
  if (!found) return "";
  if (machine.check(found.ip, found.family)) return "this machine";
  return privately.check(found.ip, found.family) ? "a private network" : "";
}

/** What one client can choose freely counts as one: of an IPv6 address only its network, a /64. */
export function networkOf(address: string): string {
  const found = plain(address);
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
