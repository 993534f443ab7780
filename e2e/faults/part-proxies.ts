import type { PartName } from "#stack/launcher";
import { openFaultProxy, type FaultProxy } from "./fault-proxy.ts";

export type PartProxies = ReturnType<typeof openPartProxies>;

/** Routes all services to each part through one proxy. */
export function openPartProxies() {
  const proxies = new Map<PartName, Promise<FaultProxy>>();
  return {
    async via(part: PartName, address: string): Promise<string> {
      const url = new URL(address);
      const opened = proxies.get(part) ?? openFaultProxy(Number(url.port));
      proxies.set(part, opened);
      url.port = String((await opened).port);
      if (part === "database") {
        // The driver would bypass the proxy if it asked the replica set for its members.
        url.searchParams.delete("replicaSet");
        url.searchParams.set("directConnection", "true");
      }
      return url.href;
    },
    async to(part: PartName): Promise<FaultProxy> {
      const opened = proxies.get(part);
      if (!opened) throw new Error(`no service uses the ${part}`);
      return opened;
    },
    async close(): Promise<void> {
      for (const opened of proxies.values()) (await opened).close();
    },
  };
}
