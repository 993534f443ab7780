import { setTimeout as passing } from "node:timers/promises";
import { exportJWK, generateKeyPair, type CryptoKey, type JWK } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "#stack/process";
import { edgeConfig } from "./config/edge-config.ts";
import { render } from "./config/render.ts";
import { connectionManagerOf } from "./testing/connection-manager.ts";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";

const KEYS_SECONDS = 1;
const CLOCK_SKEW_SECONDS = 5;
let fixture: EdgeFixture;
beforeAll(
  async () =>
    void (fixture = await startEdgeFixture({
      variables: { JWKS_CACHE_SECONDS: String(KEYS_SECONDS) },
    })),
  90_000,
);
afterAll(() => fixture[Symbol.asyncDispose]());

interface Key {
  kid: string;
  key: CryptoKey;
  jwk: JWK;
}

async function newKey(kid: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  return { kid, key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256" } };
}
const publish = (...keys: Key[]): void => fixture.publishKeys(keys.map(({ jwk }) => jwk));

/** The status of a call with this token. */
async function statusWith(token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  return (await request(fixture, "GET", "/api/orders", { headers })).status;
}
/** The status of a call with a new token of this key. */
const status = async ({ kid, key }: Key): Promise<number> =>
  statusWith(await fixture.token({}, { kid, key }));

/** Calls until each thread of the edge remembers the token. */
async function remember(token: string): Promise<void> {
  for (let i = 0; i < 50; i += 1) expect(await statusWith(token)).toBe(200);
}
const becomes = (key: Key, wanted: number, what: string) =>
  until(async () => (await status(key)) === wanted, { what, timeoutMs: 20_000, everyMs: 50 });

describe("the edge's keys", () => {
  it("are fetched again every 5 seconds, for headers and for cookies", () => {
    const { http_filters: filters } = connectionManagerOf(render(edgeConfig.parse({})));
    const { providers } = filters.find(({ name }: any) => name === "tokens").typed_config;
    for (const { remote_jwks: keys } of Object.values<any>(providers))
      expect(keys.cache_duration).toBe("5s");
  });

  it("rotate five times under load, and no call is rejected (P46)", async () => {
    let old = await newKey("r0");
    let next = await newKey("r1");
    publish(old, next);
    await becomes(next, 200, "the first keys to count");
    const seen = new Map<number, number>();
    let signing = old;
    let over = false;
    const calls = (async () => {
      while (!over) {
        const answer = await status(signing);
        seen.set(answer, (seen.get(answer) ?? 0) + 1);
        await passing(10);
      }
    })();
    for (let round = 2; round < 7; round += 1) {
      signing = next; // Every verifier has fetched it.
      const newest = await newKey(`r${round}`);
      publish(old, next, newest);
      await becomes(newest, 200, "the next key to be there before it signs");
      publish(next, newest);
      await becomes(old, 401, "the old key to be gone");
      [old, next] = [next, newest];
    }
    over = true;
    await calls;
    console.log(`five rotations: ${seen.get(200)} calls answered 200`);
    expect([...seen.keys()]).toEqual([200]);
  });

  it("that are withdrawn stop working soon, also for tokens that were used before", async () => {
    const [gone, next] = [await newKey("w1"), await newKey("w2")];
    publish(gone, next);
    await becomes(gone, 200, "the key to count");
    const token = await fixture.token({}, gone);
    await remember(token);
    publish(next);
    const begun = performance.now();
    await becomes(gone, 401, "the withdrawn key to be refused");
    const isRefused = async () => (await statusWith(token)) === 401;
    await until(isRefused, { what: "the used token to be refused", timeoutMs: 20_000 });
    const ms = performance.now() - begun;
    console.log(`a withdrawn key was refused after ${ms.toFixed(0)} ms, asked for every second`);
    expect(ms).toBeLessThan(10 * (KEYS_SECONDS + 1) * 1_000);
    expect(await status(next)).toBe(200);
    for (let i = 0; i < 50; i += 1) expect(await statusWith(token)).toBe(401);
  });

  it("stop working when they expire, also if they were used before", async () => {
    const key = await newKey("e1");
    publish(key);
    await becomes(key, 200, "the key to count");
    // The edge accepts a token for as long as clocks may differ.
    const exp = Math.floor(Date.now() / 1_000) - CLOCK_SKEW_SECONDS + 2;
    const token = await fixture.token({ exp }, key);
    await remember(token);
    const isRefused = async () => (await statusWith(token)) === 401;
    await until(isRefused, { what: "the expired token to be refused", timeoutMs: 20_000 });
  });
});
