import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { verify } from "#runtime/rpc/authentication.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { keyModel, type Stage } from "./key.ts";
import { keyStore, readKeys } from "./key-store.ts";
import { signingKeys } from "./signing-keys.ts";
import { privateJwk } from "../testing.ts";

const expected = { issuer: "ticketing", audience: "ticketing", secureCookies: false };
const claims = { userId: "ann", sessionId: "s1", roles: ["administrator"], emailConfirmed: false };
const [first, second] = [await privateJwk("first"), await privateJwk("second")];
const set = (...keys: object[]): string => JSON.stringify({ keys });

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** An empty database and a clock; instances of auth on it, each with what it reads from there. */
async function auths() {
  const model = keyModel(await testDatabase());
  await buildIndexes(model);
  let offset = 0;
  const now = (): number => Date.now() + offset;
  const store = (sealingKey = "a secret", json?: string) => {
    const imported = json ? { imported: readKeys(json) } : {};
    return keyStore({ model, sealingKey, tokenSeconds: 300, now, ...imported });
  };
  async function instance(json?: string) {
    const own = store("a secret", json);
    const keys = await signingKeys({ store: own, ...expected, lifeSeconds: 300 });
    const takes = (token: string): Promise<boolean> =>
      verify(token, { ...expected, keys: keys.check }).then(
        () => true,
        () => false,
      );
    const sign = async (): Promise<string> => (await keys.sign(claims)).token;
    return { ...own, keys, sign, takes, reload: keys.reload };
  }
  const stages = async (): Promise<Stage[]> => (await store().list()).map(({ stage }) => stage);
  return { model, store, instance, stages, pass: (ms: number) => void (offset += ms) };
}
const kidOf = (token: string): string => decodeProtectedHeader(token).kid ?? "";

describe("a signed token", () => {
  it("says when it stops working, as its signer does", async () => {
    const { keys } = await (await auths()).instance();
    const { token, expiresAt } = await keys.sign(claims);
    expect(decodeJwt(token).exp).toBe(expiresAt.getTime() / 1000);
    expect(decodeJwt(token)["roles"]).toEqual(["administrator"]);
  });
});

describe("the first start", () => {
  it("makes the key that signs and the next, however many instances start at once", async () => {
    const { instance, model } = await auths();
    const all = await Promise.all(Array.from({ length: 5 }, () => instance()));
    expect(await model.countDocuments()).toBe(2);
    for (const one of all) await one.reload();
    const tokens = await Promise.all(all.map(({ sign }) => sign()));
    expect(new Set(tokens.map(kidOf)).size).toBe(1);
    for (const { takes } of all) expect(await takes(tokens[0]!)).toBe(true);
  });

  it("begins with given keys, and reads them no more later", async () => {
    const { instance, model } = await auths();
    expect(kidOf(await (await instance(set(first, second))).sign())).toBe("first");
    const third = await privateJwk("third");
    expect(kidOf(await (await instance(set(third))).sign())).toBe("first");
    expect(await model.distinct("_id")).toEqual(["first", "second"]);
  });

  it("leaves nothing in the database with which somebody else could sign", async () => {
    const { instance, model, store } = await auths();
    await instance(set(first, second));
    const stored = JSON.stringify(await model.find().lean());
    for (const { d } of [first, second]) expect(stored).not.toContain(d);
    const stranger = signingKeys({ store: store("another"), ...expected, lifeSeconds: 300 });
    await expect(stranger).rejects.toThrow(/SEALING_KEY/);
  });
});

describe("the published keys", () => {
  it("are those that sign and will sign, with how they are used, and nothing private", async () => {
    const { keys } = await (await auths()).instance(set(first, second));
    const { x, y } = first;
    expect(keys.published.keys.map(({ kid }) => kid)).toEqual(["first", "second"]);
    expect(keys.published.keys[0]).toEqual({
      ...{ kid: "first", kty: "EC", crv: "P-256", x, y },
      ...{ alg: "ES256", use: "sig" },
    });
    const said = JSON.stringify(keys.published);
    for (const { d } of [first, second]) expect(said).not.toContain(d);
  });
});

describe("a rotation", () => {
  it("signs nobody out: every token of five rotations is good at every instance", async () => {
    const { instance, pass } = await auths();
    const [one, other] = [await instance(), await instance()];
    const kids = new Set<string>();
    for (let round = 0; round < 5; round += 1) {
      pass(3 * MINUTE); // So long a new key is shown before it signs.
      const before = await one.sign();
      expect(await one.rotate()).toBe(true);
      await one.reload();
      const after = await one.sign();
      expect(kidOf(after)).not.toBe(kidOf(before));
      // The other instance has not even read the keys again.
      for (const token of [before, after]) expect(await other.takes(token)).toBe(true);
      await other.reload();
      for (const token of [before, after]) expect(await other.takes(token)).toBe(true);
      kids.add(kidOf(before)).add(kidOf(after));
    }
    expect(kids.size).toBe(6);
  });

  it("is one write: of five who rotate at once, as many say so as keys began to sign", async () => {
    const { instance, model, pass } = await auths();
    const all = await Promise.all(Array.from({ length: 5 }, () => instance()));
    pass(3 * MINUTE);
    const done = await Promise.all(all.map(({ rotate }) => rotate()));
    const began = await model.countDocuments({ signsFrom: { $ne: null } });
    expect(done.filter(Boolean)).toHaveLength(began - 1); // The first one signs from the start.
    expect(done).toContain(true);
  });

  it("waits until everyone can have the next key", async () => {
    const { instance, pass } = await auths();
    const auth = await instance();
    const before = kidOf(await auth.sign());
    await auth.rotate();
    await auth.reload();
    expect(kidOf(await auth.sign())).toBe(before);
    pass(2 * MINUTE);
    await auth.reload();
    expect(kidOf(await auth.sign())).not.toBe(before);
  });

  it("shows the old key while its tokens live, and then forgets it", async () => {
    const { instance, stages, pass, model } = await auths();
    const auth = await instance();
    pass(3 * MINUTE);
    await auth.rotate();
    expect(await stages()).toEqual(["checks", "signs", "next"]);
    pass(7 * MINUTE);
    expect(await stages()).toEqual(["over", "signs", "next"]);
    await auth.tend(30 * DAY);
    expect(await model.countDocuments({ sealed: { $ne: null } })).toBe(2);
    await auth.reload();
    expect(auth.keys.published.keys).toHaveLength(2);
  });

  it("comes by age, once, however many instances look after it", async () => {
    const { instance, stages, pass } = await auths();
    const all = await Promise.all(Array.from({ length: 5 }, () => instance()));
    const tend = () => Promise.all(all.map((one) => one.tend(30 * DAY)));
    pass(29 * DAY);
    await tend();
    expect(await stages()).toEqual(["signs", "next"]);
    pass(2 * DAY);
    for (let round = 0; round < 3; round += 1) await tend();
    expect(await stages()).toEqual(["checks", "signs", "next"]);
  });
});

describe("a withdrawn key", () => {
  it("is worth nothing once an instance has read the keys again, and the next one signs (P47)", async () => {
    const { instance } = await auths();
    const [one, other] = [await instance(), await instance()];
    const token = await one.sign();
    expect(await one.withdraw(kidOf(token))).toBe(true);
    for (const each of [one, other]) {
      await each.reload();
      expect(await each.takes(token)).toBe(false);
      const fresh = await each.sign();
      expect(await one.takes(fresh)).toBe(true);
      expect(each.keys.published.keys).toHaveLength(2);
    }
  });

  it("leaves no private part behind, and can be any of them", async () => {
    const { instance, model, stages } = await auths();
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

  it("helps whoever has lost SEALING_KEY: all withdrawn, new ones are made", async () => {
    const { instance, store } = await auths();
    await instance(set(first, second));
    const anew = store("another secret");
    for (const kid of ["first", "second"]) await anew.withdraw(kid);
    const keys = await signingKeys({ store: anew, ...expected, lifeSeconds: 300 });
    expect((await keys.sign(claims)).token).toBeTruthy();
  });
});

describe("given keys are refused", async () => {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const { d: _private, ...publicHalf } = first;
  it.each([
    ["that are no JSON", "garbage"],
    ["of which there is none", set()],
    ["without a name", set({ ...first, kid: undefined })],
    ["without their private half", set(publicHalf)],
    ["of another kind", set({ ...(await exportJWK(privateKey)), kid: "rsa" })],
    ["of another curve", set({ ...first, crv: "P-384" })],
  ])("%s", (_, json) => {
    expect(() => readKeys(json)).toThrow();
  });
});
