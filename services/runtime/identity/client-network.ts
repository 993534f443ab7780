import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** The edge sets exactly one address in this header. A call that did not pass through the edge has none. */
export const addressOf = (header: Headers): string => header.get("x-forwarded-for") ?? "direct";

/** An IPv4 address in IPv6 notation counts as IPv4. */
function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  // The library also accepts short forms of IPv4 such as "127.1", which no proxy sends.
  return isIP(address) === 0 ? undefined : ipaddr.process(address);
}

/** The range that IANA reserved for such addresses, like "private"; "unicast" is the open internet. */
export const rangeOf = (address: string): string => parse(address)?.range() ?? "unknown";

/** One client can choose any address within its IPv6 network, so only the network (/64) counts. */
export function networkOf(address: string): string {
  const ip = parse(address);
  if (!(ip instanceof ipaddr.IPv6)) return ip?.toString() ?? address;
  const groups = ip.parts.slice(0, 4).map((group) => group.toString(16));
  return `${groups.join(":")}::/64`;
}
