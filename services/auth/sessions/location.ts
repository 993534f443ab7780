import { BlockList } from "node:net";
import { parseAddress } from "#runtime/identity/client-network.ts";

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

/** Where an address is, in words, as far as it tells: of the open internet it tells nothing. */
export function placeOf(address: string): string {
  const found = parseAddress(address);
  if (!found) return "";
  if (machine.check(found.ip, found.family)) return "this machine";
  return privately.check(found.ip, found.family) ? "a private network" : "";
}
