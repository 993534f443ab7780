import { describe, expect, it } from "vitest";
import { hashPassword, isPassword } from "./password.ts";

describe("a stored password", () => {
  it("is argon2id with OWASP's parameters, and a salt of its own", async () => {
    const stored = await Promise.all(Array.from({ length: 20 }, () => hashPassword("the same")));
    const salts = stored.map((phc) => {
      const [, kind, version, parameters, salt = "", hash = ""] = phc.split("$");
      expect([kind, version, parameters]).toEqual(["argon2id", "v=19", "m=19456,t=2,p=1"]);
      expect(Buffer.from(hash, "base64")).toHaveLength(32);
      return salt;
    });
    expect(new Set(salts).size).toBe(20);
    for (const salt of salts) expect(Buffer.from(salt, "base64").length).toBeGreaterThanOrEqual(16);
  });

  it("made with other parameters is still known, so they can be raised", async () => {
    const older =
      "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$ZHPUs2CTVuH6h5HZiBxdZNiiF5n95wkVFxPPhzZNnpQ";
    expect(await isPassword("wrong", older)).toBe(false);
  });
});

describe("a password", () => {
  const prefix = "x".repeat(72);
  it.each([
    ["of letters", "password", "Password"],
    ["with spaces around it", " a password ", "a password"],
    ["with spaces within", "a  password", "a password"],
    ["of emoji", "🎸🎸🎸🎸🎸🎸🎸🎸", "🎸🎸🎸🎸🎸🎸🎸🎹"],
    ["that is long", `${prefix}a`, `${prefix}b`],
    ["of 128 characters", "y".repeat(128), "y".repeat(127)],
    ["with a zero in it", "before\0after", "before\0other"],
  ])("%s is known, and another is not", async (_, password, other) => {
    const stored = await hashPassword(password);
    expect(await isPassword(password, stored)).toBe(true);
    expect(await isPassword(other, stored)).toBe(false);
  });

  it("is the same on every keyboard, however it writes its accents", async () => {
    const stored = await hashPassword("pa\u00dfw\u00f6rter");
    expect(await isPassword("pa\u00dfwo\u0308rter", stored)).toBe(true);
  });

  it("of nobody is wrong, and found out as slowly", async () => {
    const stored = await hashPassword("something");
    async function time(of: string | undefined): Promise<number> {
      const times: number[] = [];
      for (let i = 0; i < 9; i += 1) {
        const begun = performance.now();
        expect(await isPassword("a guess", of)).toBe(false);
        times.push(performance.now() - begun);
      }
      return Math.min(...times);
    }
    const [known, unknown] = [await time(stored), await time(undefined)];
    expect(unknown).toBeGreaterThan(known / 2);
    expect(known).toBeGreaterThan(unknown / 2);
  });
});
