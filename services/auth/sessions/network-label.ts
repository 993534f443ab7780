import { BlockList } from "node:net";
import { parseAddress } from "#runtime/identity/client-network.ts";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

const privateNetworks = new BlockList();
for (const [network, prefixLength] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
] as const) {
  privateNetworks.addSubnet(network, prefixLength);
}
privateNetworks.addSubnet("fc00::", 7, "ipv6");
privateNetworks.addSubnet("fe80::", 10, "ipv6");

/** Describes the network of an address. Nothing is known about an address of the internet. */
export function networkLabel(address: string): string {
  const found = parseAddress(address);
  if (!found) return "";
  if (loopback.check(found.ip, found.family)) return "this machine";
  return privateNetworks.check(found.ip, found.family) ? "a private network" : "";
}
