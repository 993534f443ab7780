import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { verifyToken } from "#runtime/identity/tokens.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { keyModel } from "./key.ts";
import { keyRotation } from "./key-rotation.ts";
import type { KeyStage } from "./key-stage.ts";
import { keyStore } from "./key-store.ts";
import { parsePrivateKeys } from "./private-key.ts";
import { signingKeys } from "./signing-keys.ts";
import { privateJwk } from "../testing.ts";

const expected = { issuer: "ticketing", audience: "ticketing", secureCookies: false };
const claims = { userId: "ann", sessionId: "s1", roles: ["administrator"], emailConfirmed: false };
const [first, second] = [await privateJwk("first"), await privateJwk("second")];
const set = (...keys: object[]): string => JSON.stringify({ keys });

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** An empty database, a clock, and instances of auth that share both. */
async function keysFixture() {
  const model = keyModel(await testDatabase());
  await buildIndexes(model);
  let offset = 0;
  const now = (): number => Date.now() + offset;
  function open(sealingKey = "a secret", json?: string) {
    const store = keyStore({ model, sealingKey, tokenSeconds: 300, now });
    const imported = json ? parsePrivateKeys(json) : undefined;
    return { store, rotation: keyRotation({ store, imported }) };
  }
  async function instance(json?: string) {
    const { store, rotation } = open("a secret", json);
    const keys = await signingKeys({ store, rotation, ...expected, lifetimeSeconds: 300 });
    const accepts = (token: string): Promise<boolean> =>
      verifyToken(token, { ...expected, keys: keys.getKey }).then(
        () => true,
        () => false,
      );
    const sign = async (): Promise<string> => (await keys.sign(claims)).token;
    return { ...rotation, keys, sign, accepts, reload: keys.reload };
  }
  async function stages(): Promise<KeyStage[]> {
    const { store } = open();
    return store.stages(await store.all()).map(({ stage }) => stage);
  }
  return { model, open, instance, stages, pass: (ms: number) => void (offset += ms) };
}
const kidOf = (token: string): string => decodeProtectedHeader(token).kid ?? "";

describe("an access token", () => {
  it("expires when its signer says so", async () => {
    const { keys } = await (await keysFixture()).instance();
    const { token, expiresAt } = await keys.sign(claims);
    expect(decodeJwt(token).exp).toBe(expiresAt.getTime() / 1000);
    expect(decodeJwt(token)["roles"]).toEqual(["administrator"]);
  });
});

describe("the first start", () => {
  it("creates one signing key and one next key when five instances start at once", async () => {
    const { instance, model } = await keysFixture();
    const all = await Promise.all(Array.from({ length: 5 }, () => instance()));
    expect(await model.countDocuments()).toBe(2);
    for (const one of all) await one.reload();
    const tokens = await Promise.all(all.map(({ sign }) => sign()));
    expect(new Set(tokens.map(kidOf)).size).toBe(1);
    for (const { accepts } of all) expect(await accepts(tokens[0]!)).toBe(true);
  });

  it("imports the given keys once and ignores them later", async () => {
    const { instance, model } = await keysFixture();
    expect(kidOf(await (await instance(set(first, second))).sign())).toBe("first");
    const third = await privateJwk("third");
    expect(kidOf(await (await instance(set(third))).sign())).toBe("first");
    expect(await model.distinct("_id")).toEqual(["first", "second"]);
  });

  it("stores nothing that could sign without SEALING_KEY", async () => {
    const { instance, model, open } = await keysFixture();
    await instance(set(first, second));
    const stored = JSON.stringify(await model.find().lean());
    for (const { d } of [first, second]) expect(stored).not.toContain(d);
    const withWrongKey = signingKeys({ ...open("another"), ...expected, lifetimeSeconds: 300 });
    await expect(withWrongKey).rejects.toThrow(/SEALING_KEY/);
  });
});

describe("the published keys", () => {
  it("are the signing and the next key, with their use and without private parts", async () => {
    const { keys } = await (await keysFixture()).instance(set(first, second));
    const { x, y } = first;
    expect(keys.jwks.keys.map(({ kid }) => kid)).toEqual(["first", "second"]);
    expect(keys.jwks.keys[0]).toEqual({
      kid: "first",
      kty: "EC",
      crv: "P-256",
      x,
      y,
      alg: "ES256",
      use: "sig",
    });
    const published = JSON.stringify(keys.jwks);
    for (const { d } of [first, second]) expect(published).not.toContain(d);
  });
});

describe("a rotation", () => {
  it("signs nobody out: every instance accepts every token of five rotations", async () => {
    const { instance, pass } = await keysFixture();
    const [one, other] = [await instance(), await instance()];
    const kids = new Set<string>();
    for (let round = 0; round < 5; round += 1) {
      pass(3 * MINUTE); // A new key is published this long before it signs.
      const before = await one.sign();
      expect(await one.rotate()).toBe(true);
      await one.reload();
      const after = await one.sign();
      expect(kidOf(after)).not.toBe(kidOf(before));
      // The other instance has not reloaded the keys yet.
      for (const token of [before, after]) expect(await other.accepts(token)).toBe(true);
      await other.reload();
      for (const token of [before, after]) expect(await other.accepts(token)).toBe(true);
      kids.add(kidOf(before)).add(kidOf(after));
    }
    expect(kids.size).toBe(6);
  });

  it("reports success to as many of five concurrent callers as keys were promoted", async () => {
    const { instance, model, pass } = await keysFixture();
    const all = await Promise.all(Array.from({ length: 5 }, () => instance()));
    pass(3 * MINUTE);
    const done = await Promise.all(all.map(({ rotate }) => rotate()));
    const promoted = await model.countDocuments({ signsFrom: { $ne: null } });
    expect(done.filter(Boolean)).toHaveLength(promoted - 1); // The first key was never promoted.
    expect(done).toContain(true);
  });

  it("waits until every verifier has the next key", async () => {
    const { instance, pass } = await keysFixture();
    const auth = await instance();
    const before = kidOf(await auth.sign());
    await auth.rotate();
    await auth.reload();
    expect(kidOf(await auth.sign())).toBe(before);
    pass(2 * MINUTE);
    await auth.reload();
    expect(kidOf(await auth.sign())).not.toBe(before);
  });

  it("publishes the old key while its tokens are valid, and then deletes its private part", async () => {
    const { instance, stages, pass, model } = await keysFixture();
    const auth = await instance();
    pass(3 * MINUTE);
    await auth.rotate();
    expect(await stages()).toEqual(["verifies", "signs", "next"]);
    pass(7 * MINUTE);
    expect(await stages()).toEqual(["retired", "signs", "next"]);
    await auth.maintain(30 * DAY);
    expect(await model.countDocuments({ sealed: { $ne: null } })).toBe(2);
    await auth.reload();
    expect(auth.keys.jwks.keys).toHaveLength(2);
  });

  it("happens once by age when five instances maintain the keys", async () => {
    const { instance, stages, pass } = await keysFixture();
    const all = await Promise.all(Array.from({ length: 5 }, () => instance()));
    const maintain = () => Promise.all(all.map((one) => one.maintain(30 * DAY)));
    pass(29 * DAY);
    await maintain();
    expect(await stages()).toEqual(["signs", "next"]);
    pass(2 * DAY);
    for (let round = 0; round < 3; round += 1) await maintain();
    expect(await stages()).toEqual(["verifies", "signs", "next"]);
  });
});

describe("a withdrawn key", () => {
  it("verifies no token after a reload, and the next key signs (P47)", async () => {
    const { instance } = await keysFixture();
    const [one, other] = [await instance(), await instance()];
    const token = await one.sign();
    expect(await one.withdraw(kidOf(token))).toBe(true);
    for (const each of [one, other]) {
      await each.reload();
      expect(await each.accepts(token)).toBe(false);
      const fresh = await each.sign();
      expect(await one.accepts(fresh)).toBe(true);
      expect(each.keys.jwks.keys).toHaveLength(2);
    }
  });

  it("loses its private part, whichever key it is", async () => {
    const { instance, model, stages } = await keysFixture();
    const auth = await instance(set(first, second));
    await auth.withdraw("second");
    expect(await stages()).toContain("withdrawn");
    await auth.reload();
    expect(kidOf(await auth.sign())).toBe("first");
    await auth.withdraw("first");
    expect(await auth.withdraw("none")).toBe(false);
    expect(await model.countDocuments({ withdrawTime: { $ne: null }, sealed: { $ne: null } })).toBe(
      0,
    );
    await auth.reload();
    expect(["first", "second"]).not.toContain(kidOf(await auth.sign()));
  });

  it("is replaced when all keys are withdrawn because SEALING_KEY is lost", async () => {
    const { instance, open } = await keysFixture();
    await instance(set(first, second));
    const afterLoss = open("another secret");
    for (const kid of ["first", "second"]) await afterLoss.rotation.withdraw(kid);
    const keys = await signingKeys({ ...afterLoss, ...expected, lifetimeSeconds: 300 });
    expect((await keys.sign(claims)).token).toBeTruthy();
  });
});

describe("imported keys are refused", async () => {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const { d: _private, ...publicHalf } = first;
  it.each([
    ["that are not JSON", "garbage"],
    ["that are an empty set", set()],
    ["without a kid", set({ ...first, kid: undefined })],
    ["without a private part", set(publicHalf)],
    ["of another key type", set({ ...(await exportJWK(privateKey)), kid: "rsa" })],
    ["of another curve", set({ ...first, crv: "P-384" })],
  ])("%s", (_, json) => {
    expect(() => parsePrivateKeys(json)).toThrow();
  });
});
