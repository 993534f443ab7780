import { describe, expect, it } from "vitest";
import { InvalidFields } from "#runtime/errors.ts";
import { hashPassword, needsRehash, verifyPassword } from "./password-hash.ts";
import { mustBeAcceptablePassword } from "./password-policy.ts";

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

  it("with other parameters can still be verified, so they can be raised", async () => {
    const older =
      "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$ZHPUs2CTVuH6h5HZiBxdZNiiF5n95wkVFxPPhzZNnpQ";
    expect(await verifyPassword("wrong", older)).toBe(false);
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
    ["with a null character", "before\0after", "before\0other"],
  ])("%s matches its hash, and another does not", async (_, password, other) => {
    const stored = await hashPassword(password);
    expect(await verifyPassword(password, stored)).toBe(true);
    expect(await verifyPassword(other, stored)).toBe(false);
  });

  it("matches whatever the Unicode normalization of its accents", async () => {
    const stored = await hashPassword("pa\u00dfw\u00f6rter");
    expect(await verifyPassword("pa\u00dfwo\u0308rter", stored)).toBe(true);
  });

  it("without an account is wrong, and takes as long to verify", async () => {
    const stored = await hashPassword("something");
    async function time(of: string | undefined): Promise<number> {
      const begun = performance.now();
      expect(await verifyPassword("a guess", of)).toBe(false);
      return performance.now() - begun;
    }
    // In turn, so that a busy machine slows both down; the fastest of each is the least disturbed.
    let [known, unknown] = [Infinity, Infinity];
    for (let i = 0; i < 15; i += 1) {
      known = Math.min(known, await time(stored));
      unknown = Math.min(unknown, await time(undefined));
    }
    expect(unknown).toBeGreaterThan(known / 2);
    expect(known).toBeGreaterThan(unknown / 2);
  });
});

describe("password hashing", () => {
  it("runs two at a time, and refuses a flood for now (P37)", async () => {
    const flood = Array.from({ length: 200 }, () => verifyPassword("a guess", undefined));
    const ended = await Promise.allSettled(flood);
    const refused = ended.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(98); // Two run, and a hundred wait.
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toMatchObject({ reason: "NOT_READY", details: { retryAfterMs: 2_000 } });
    }
  });

  it("recognizes parameters that are weaker than the current ones", async () => {
    expect(needsRehash(await hashPassword("the same"))).toBe(false);
    expect(needsRehash("$argon2id$v=19$m=4096,t=3,p=1$c2FsdA$aGFzaA")).toBe(true);
    expect(needsRehash("$argon2id$v=19$m=19456,t=1,p=1$c2FsdA$aGFzaA")).toBe(true);
    expect(needsRehash("$2b$10$something.else")).toBe(true);
  });
});

describe("a new password", () => {
  const refusal = (password: string, email = "somebody@example.com"): string | undefined => {
    try {
      mustBeAcceptablePassword(password, email);
      return undefined;
    } catch (error) {
      if (!(error instanceof InvalidFields)) throw error;
      return error.violations[0]?.reason ?? "length";
    }
  };

  it.each([
    ["7 characters", "k7#mQ2x", "length"],
    ["8 characters", "k7#mQ2xz", undefined],
    ["64 characters", "ab3 ".repeat(16), undefined],
    ["128 characters", "ab3 ".repeat(32), undefined],
    ["129 characters", `${"ab3 ".repeat(32)}x`, "length"],
    ["7 emoji", "🎫🎟🎭🎪🎨🎬🎤", "length"],
    ["8 emoji", "🎫🎟🎭🎪🎨🎬🎤🎧", undefined],
    ["129 code points, one of them an accent", `${"ab3 ".repeat(31)}xyze\u0301`, undefined],
    ["uncommon digits only", "8401937462", undefined],
    ["lowercase letters only", "wuthering tortoise", undefined],
    ["spaces only", " ".repeat(8), undefined],
    ["password", "password", "PASSWORD_TOO_COMMON"],
    ["PassWord1", "PassWord1", "PASSWORD_TOO_COMMON"],
    ["12345678", "12345678", "PASSWORD_TOO_COMMON"],
    ["qwertyuiop", "qwertyuiop", "PASSWORD_TOO_COMMON"],
    ["iloveyou1", "iloveyou1", "PASSWORD_TOO_COMMON"],
    ["the address", "somebody@example.com", "PASSWORD_TOO_COMMON"],
    ["the address in capitals", "SOMEBODY@EXAMPLE.COM", "PASSWORD_TOO_COMMON"],
    ["the name in the address", "Somebody", "PASSWORD_TOO_COMMON"],
    ["a sentence that contains a common password", "my password is long", undefined],
  ])("is accepted or refused by NIST's rules (P38): %s", (_, password, expected) => {
    expect(refusal(password)).toBe(expected);
  });
});
