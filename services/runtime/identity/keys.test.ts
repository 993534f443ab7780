import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type CryptoKey } from "jose";
import { afterAll, expect, it, onTestFinished, vi } from "vitest";
import { ALGORITHM, verifyToken, type TokenRules } from "./tokens.ts";
import { remoteKeys } from "./keys.ts";
import { eventually } from "../testing/eventually.ts";
import { silentLog } from "../testing/log.ts";
import { token } from "../testing/tokens.ts";

/** A fake auth service that publishes the given keys. */
async function auth() {
  let answer = (res: ServerResponse): unknown => res.writeHead(503).end();
  let asked = 0;
  const server = createServer((_, res) => {
    asked += 1;
    answer(res);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked: () => asked,
    publish(body: unknown, status = 200): void {
      answer = (res) => res.writeHead(status).end(JSON.stringify(body));
    },
  };
}

/** A key with the key ID of the test tokens: its public part, and its private part for signing. */
async function key() {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM);
  return {
    sign: privateKey,
    published: { ...(await exportJWK(publicKey)), kid: "test", alg: ALGORITHM },
  };
}

// The pauses of the refresh run a hundred times faster than in production.
const unhurried = setTimeout;
vi.spyOn(globalThis, "setTimeout").mockImplementation(((then: () => void, ms: number) =>
  unhurried(then, [500, 5_000].includes(ms) ? ms / 100 : ms)) as typeof setTimeout);
afterAll(() => void vi.restoreAllMocks());

it("keeps auth's keys: waits for the first set, follows every change, and keeps it without auth (R23)", async () => {
  const server = await auth();
  const [first, second] = [await key(), await key()];
  const askedAgain = (): Promise<boolean> => {
    const asked = server.asked() + 1; // One request may have read the previous keys.
    return eventually(() => server.asked() > asked, "another request to auth");
  };

  let started = false;
  const starting = remoteKeys(server.url, silentLog).finally(() => (started = true));
  for (const [body, status] of [
    [{}, 503],
    [{}, 200],
    [{ keys: [] }, 200],
    ["", 200],
  ] as const) {
    server.publish(body, status);
    await askedAgain();
  }
  expect(started).toBe(false);
  server.publish({ keys: [first.published] });
  const keys = await starting;
  onTestFinished(() => keys.close());

  const rules: TokenRules = {
    keys: keys.get,
    issuer: "ticketing",
    audience: "ticketing",
    secureCookies: false,
  };
  const good = async ({ sign }: { sign: CryptoKey }): Promise<boolean> =>
    verifyToken(await token({ sub: "ann" }, sign), rules).then(
      () => true,
      () => false,
    );
  expect([await good(first), await good(second)]).toEqual([true, false]);

  server.publish({ keys: [{ ...first.published, kid: "old" }, second.published] });
  await eventually(() => good(second), "the new key to be accepted");
  expect(await good(first)).toBe(false);

  for (const [body, status] of [
    [{ keys: [] }, 200],
    [{}, 503],
  ] as const) {
    server.publish(body, status);
    await askedAgain();
    expect(await good(second)).toBe(true);
  }
});
