import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { splitAddress, type EdgeConfig } from "./config.ts";

type Where = Pick<EdgeConfig, "WEB_ADDRESSES" | "TRUSTED_NETWORKS">;

/**
 * The addresses of the storefront's servers that lie in no trusted network. What such a one says of a
 * visitor's address would not be believed, and all visitors would share one address's limits.
 *
 * A name that nothing answers to yet has no address to look at. The storefront asks once more by
 * itself, when both are there: web/src/lib/server/api/proxy-trust.ts.
 */
export async function notBelieved({ WEB_ADDRESSES, TRUSTED_NETWORKS }: Where): Promise<string[]> {
  const trusted = new BlockList();
  for (const network of TRUSTED_NETWORKS) {
    const [ip = "", length] = network.split("/");
    trusted.addSubnet(ip, Number(length), family(ip));
  }
  const found = await Promise.all(WEB_ADDRESSES.map((each) => resolve(splitAddress(each).host)));
  return found.flat().filter((ip) => !trusted.check(ip, family(ip)));
}

async function resolve(host: string): Promise<string[]> {
  if (isIP(host)) return [host];
  const answers = await lookup(host, { all: true }).catch(() => []);
  return answers.map(({ address }) => address);
}

const family = (ip: string) => (isIP(ip) === 6 ? "ipv6" : "ipv4");
