import type { ServiceName } from "#stack/launcher";
import { openMutingProxy, type MutingProxy } from "./muting-proxy.ts";

/** The proxy between each service and the broker. */
export type MutingProxies = Map<ServiceName, MutingProxy>;

/** Routes a service to the broker through a muting proxy; returns the address of the proxy. */
export async function viaMutingProxy(
  proxies: MutingProxies,
  service: ServiceName,
  brokerUrl: string,
): Promise<string> {
  const url = new URL(brokerUrl);
  const proxy = await openMutingProxy(Number(url.port));
  proxies.set(service, proxy);
  url.port = String(proxy.port);
  return url.href;
}
