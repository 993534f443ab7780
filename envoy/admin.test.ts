import { request, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";

let fixture: EdgeFixture;
beforeAll(async () => void (fixture = await startEdgeFixture()), 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());

/** The status of a request to Envoy's admin page with exactly these headers. */
async function call(
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<number> {
  const asked = request(`${fixture.edge.adminUrl}${path}`, { method, headers, agent: false }).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  answer.resume();
  return answer.statusCode ?? 0;
}

describe("Envoy's admin page", () => {
  it.each(["localhost", "localhost:9901", "127.0.0.1", "127.0.0.1:1", "[::1]:9901"])(
    "is served if it is called as %s",
    async (host) => expect(await call("GET", "/ready", { host })).toBe(200),
  );

  it.each(["evil.test", "evil.test:9901", "localhost.evil.test", "127.0.0.1.evil.test", "edge"])(
    "shows nothing and stops nothing under a name that an attacker can point at it: %s",
    async (host) => {
      expect(await call("GET", "/config_dump", { host })).toBe(421);
      expect(await call("POST", "/quitquitquit", { host })).toBe(421);
      expect(fixture.edge.child.running).toBe(true);
    },
  );

  it.each<[string, Record<string, string>]>([
    ["by its origin", { origin: "http://evil.test" }],
    ["that hides its origin", { origin: "null" }],
    ["as the browser says", { "sec-fetch-site": "cross-site" }],
  ])("changes nothing for a page of another site: %s", async (_what, headers) => {
    const sent = { host: "127.0.0.1", ...headers };
    expect(await call("POST", "/quitquitquit", sent)).toBe(403);
    expect(fixture.edge.child.running).toBe(true);
  });

  it("accepts the forms of its own page", async () => {
    const origin = fixture.edge.adminUrl;
    const own = { host: new URL(origin).host, origin, "sec-fetch-site": "same-origin" };
    expect(await call("POST", "/reset_counters", own)).toBe(200);
  });
});
