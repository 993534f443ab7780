import { expect, it } from "vitest";
import { proxyTrustError } from "./proxy-trust.ts";

/** An edge with one response for each request: the address that it saw, or no response at all. */
function fakeEdge(...responses: (((forwarded: string) => string) | undefined)[]) {
  const calls: string[] = [];
  const request = (async (url: string, init: { headers: Record<string, string> }) => {
    calls.push(url);
    const respond = responses.length > 1 ? responses.shift() : responses[0];
    if (!respond) throw new TypeError("fetch failed");
    const address = respond(init.headers["x-forwarded-for"] ?? "");
    return { headers: new Headers(address ? { "x-client-address": address } : {}) };
  }) as unknown as typeof fetch;
  return { request, calls };
}
const trusting = (forwarded: string) => forwarded;
const notReady = () => "";

it("reports an edge that does not trust the storefront's server", async () => {
  const { request } = fakeEdge(() => "10.42.0.7");
  const error = await proxyTrustError("http://edge:8080", { fetch: request });
  expect(error).toContain("for a client at 10.42.0.7");
  expect(error).toContain("TRUSTED_NETWORKS");
});

it("waits for an edge that cannot be reached or is not ready", async () => {
  const { request, calls } = fakeEdge(undefined, notReady, undefined, trusting);
  const options = { fetch: request, retryDelayMs: 1 };
  expect(await proxyTrustError("http://edge:8080", options)).toBeUndefined();
  expect(calls).toEqual(Array(4).fill("http://edge:8080/edge/client-address"));
});
