import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { splitAddress, type EdgeConfig } from "./edge-config.ts";

type StorefrontConfig = Pick<EdgeConfig, "WEB_ADDRESSES" | "TRUSTED_NETWORKS">;

/**
 * The addresses of the storefront's servers that are in no trusted network. The edge would ignore the
 * client address that such a server forwards, and all users would share the rate limit of one address.
 *
 * A name that does not resolve yet is skipped. The storefront checks again by itself once both run:
 * web/src/lib/server/api/proxy-trust.ts.
 */
export async function untrustedStorefrontAddresses({
  WEB_ADDRESSES,
  TRUSTED_NETWORKS,
}: StorefrontConfig): Promise<string[]> {
  const trusted = new BlockList();
  for (const network of TRUSTED_NETWORKS) {
    const [ip = "", length] = network.split("/");
    trusted.addSubnet(ip, Number(length), family(ip));
  }
  const resolved = await Promise.all(WEB_ADDRESSES.map((each) => resolve(splitAddress(each).host)));
  return resolved.flat().filter((ip) => !trusted.check(ip, family(ip)));
}

async function resolve(host: string): Promise<string[]> {
  if (isIP(host)) return [host];
  const resolved = await lookup(host, { all: true }).catch(() => []);
  return resolved.map(({ address }) => address);
}

const family = (ip: string) => (isIP(ip) === 6 ? "ipv6" : "ipv4");
