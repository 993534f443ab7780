import { describe, expect, it } from "vitest";
import { decodeAccessToken, isUnexpired } from "./access-token.ts";

const token = (claims: object) =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

describe("an access token", () => {
  it("counts as expired a little before it expires", () => {
    const expiring = token({ sub: "u", exp: 1000 });
    expect(isUnexpired(expiring, 990_000)).toBe(true);
    expect(isUnexpired(expiring, 996_000)).toBe(false);
  });

  it.each([undefined, "", "garbage", "a.b.c", token({ exp: 1 }), token({ sub: "u", exp: "1" })])(
    "counts as absent when it cannot be read: %j",
    (broken) => {
      expect(decodeAccessToken(broken)).toBeUndefined();
      expect(isUnexpired(broken)).toBe(false);
    },
  );
});
