import { expect, it } from "vitest";
import { proxyTrustError } from "./proxy-trust.ts";

/** An edge that answers by turns: with the address that it saw, or not at all. */
function edge(...turns: (((sent: string) => string) | undefined)[]) {
  const calls: string[] = [];
  const ask = (async (url: string, init: { headers: Record<string, string> }) => {
    calls.push(url);
    const turn = turns.length > 1 ? turns.shift() : turns[0];
    if (!turn) throw new TypeError("fetch failed");
    const address = turn(init.headers["x-forwarded-for"] ?? "");
    return { headers: new Headers(address ? { "x-client-address": address } : {}) };
  }) as unknown as typeof fetch;
  return { ask, calls };
}
const believing = (sent: string) => sent;
const busy = () => "";

it("the storefront's server says so where the edge does not believe it", async () => {
  const { ask } = edge(() => "10.42.0.7");
  const why = await proxyTrustError("http://edge:8080", { fetch: ask });
  expect(why).toContain("for a visitor at 10.42.0.7");
  expect(why).toContain("TRUSTED_NETWORKS");
});

it("it waits for an edge that is not there, or not ready, and then asks", async () => {
  const { ask, calls } = edge(undefined, busy, undefined, believing);
  expect(await proxyTrustError("http://edge:8080", { fetch: ask, pauseMs: 1 })).toBeUndefined();
  expect(calls).toEqual(Array(4).fill("http://edge:8080/edge/client-address"));
});
