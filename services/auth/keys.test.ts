import { decodeJwt, exportJWK, generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { verify } from "#runtime/auth.ts";
import { signingKeys } from "./keys.ts";
import { privateJwk } from "./testing.ts";

const options = { issuer: "ticketing", audience: "ticketing", lifeSeconds: 300 };
const claims = { userId: "ann", sessionId: "s1", roles: ["administrator"] };
const [now, next] = [await privateJwk("now"), await privateJwk("next")];
const set = (...keys: object[]): string => JSON.stringify({ keys });

describe("a signed token", () => {
  it("says when it stops working, as its signer does", async () => {
    const { sign } = await signingKeys(set(now, next), options);
    const { token, expiresAt } = await sign(claims);
    expect(decodeJwt(token).exp).toBe(expiresAt.getTime() / 1000);
    expect(decodeJwt(token)["roles"]).toEqual(["administrator"]);
  });

  it("stays good when the keys change places: what was signed before, and what is signed after", async () => {
    const before = await signingKeys(set(now, next), options);
    const after = await signingKeys(set(next, now), options);
    for (const [signer, checker] of [
      [before, after],
      [after, before],
    ] as const) {
      const { token } = await signer.sign(claims);
      expect(await verify(token, { ...options, keys: checker.check })).toMatchObject({
        sub: "ann",
      });
    }
  });

  it("is worth nothing once its key is gone", async () => {
    const { token } = await (await signingKeys(set(now), options)).sign(claims);
    const { check: keys } = await signingKeys(set(next), options);
    await expect(verify(token, { ...options, keys })).rejects.toThrow();
  });
});

describe("the published keys", () => {
  it("are all keys, with how they are used, and nothing private", async () => {
    const { published } = await signingKeys(set(now, next), options);
    const { x, y } = now;
    expect(published.keys[0]).toEqual({
      kid: "now",
      kty: "EC",
      crv: "P-256",
      x,
      y,
      alg: "ES256",
      use: "sig",
    });
    const said = JSON.stringify(published);
    for (const { d } of [now, next]) expect(said).not.toContain(d);
  });
});

describe("keys are refused at the start", async () => {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const { d: _private, ...publicHalf } = now;
  it.each([
    ["that are no JSON", "garbage"],
    ["of which there is none", set()],
    ["without a name", set({ ...now, kid: undefined })],
    ["without their private half", set(publicHalf)],
    ["of another kind", set({ ...(await exportJWK(privateKey)), kid: "rsa" })],
    ["of another curve", set({ ...now, crv: "P-384" })],
  ])("%s", async (_, json) => {
    await expect(signingKeys(json, options)).rejects.toThrow();
  });
});
