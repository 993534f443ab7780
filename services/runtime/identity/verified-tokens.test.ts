import { expect, it } from "vitest";
import { testTokenRules, token } from "../testing/tokens.ts";
import type { TokenRules } from "./tokens.ts";
import { tokenVerifier } from "./verified-tokens.ts";

const seconds = (): number => Math.floor(Date.now() / 1_000);

/** Rules that count how often a signature is verified; `keys` can be changed. */
function countedRules() {
  let verified = 0;
  let keySet: object | undefined = {};
  let keys = testTokenRules.keys;
  const rules: TokenRules = {
    ...testTokenRules,
    keys: (header, input) => {
      verified += 1;
      return keys(header, input);
    },
    keySet: () => keySet as object,
  };
  return {
    rules,
    verified: () => verified,
    withdraw(): void {
      keySet = {};
      keys = () => Promise.reject(new Error("no such key"));
    },
    setKeySet: (set: object | undefined) => void (keySet = set),
  };
}

it("verifies a token once", async () => {
  const { rules, verified } = countedRules();
  const verify = tokenVerifier(rules);
  const [ann, eve] = [await token({ sub: "ann" }), await token({ sub: "eve" })];
  for (const _again of [1, 2, 3]) {
    expect(await verify(ann)).toMatchObject({ id: "ann" });
    expect(await verify(eve)).toMatchObject({ id: "eve" });
  }
  expect(verified()).toBe(2);
});

it("rejects a token as soon as its key is withdrawn", async () => {
  const { rules, withdraw } = countedRules();
  const verify = tokenVerifier(rules);
  const ann = await token({ sub: "ann" });
  await verify(ann);
  withdraw();
  await expect(verify(ann)).rejects.toThrow("no such key");
});

it("verifies a token again after it has expired: the tolerance for clocks is that of the check", async () => {
  const { rules, verified } = countedRules();
  const verify = tokenVerifier(rules);
  const expired = await token({ sub: "ann", exp: seconds() - 1 });
  await verify(expired);
  await verify(expired);
  expect(verified()).toBe(2);
  await expect(verify(await token({ sub: "ann", exp: seconds() - 60 }))).rejects.toThrow("exp");
});

it("remembers no invalid token, and nothing if it cannot learn that keys change", async () => {
  const { rules, verified, setKeySet } = countedRules();
  const verify = tokenVerifier(rules);
  const foreign = await token({ sub: "ann", aud: "elsewhere" });
  for (const _again of [1, 2]) await expect(verify(foreign)).rejects.toThrow("aud");
  setKeySet(undefined);
  const ann = await token({ sub: "ann" });
  await verify(ann);
  await verify(ann);
  expect(verified()).toBe(4);
});
