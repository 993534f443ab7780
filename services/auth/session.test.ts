import { describe, expect, it } from "vitest";
import { refusal } from "#runtime/testing.ts";
import { inBody, somebody, testAuth } from "./testing.ts";

const { client, sessions, users, pass } = await testAuth();

const open = async (): Promise<string> =>
  (await client.signUp(inBody(somebody()))).tokens?.refreshToken ?? "";
const renew = async (refreshToken: string): Promise<string> =>
  (await client.refreshSession({ refreshToken })).tokens?.refreshToken ?? "";
const reasonOf = async (refreshToken: string) =>
  (await refusal(client.refreshSession({ refreshToken }))).reason;

describe("a refresh token", () => {
  it("is exchanged for its successor, again and again", async () => {
    let token = await open();
    const seen = new Set([token]);
    for (let i = 0; i < 5; i += 1) seen.add((token = await renew(token)));
    expect(seen.size).toBe(6);
  });

  it("gives the same successor to twenty who use it at once (two tabs, a lost answer)", async () => {
    const token = await open();
    const successors = await Promise.all(Array.from({ length: 20 }, () => renew(token)));
    expect(new Set(successors).size).toBe(1);
    await renew(successors[0] ?? "");
  });

  it("ends the session for everyone when it is used again later", async () => {
    const stolen = await open();
    const next = await renew(stolen);
    pass(11_000);
    expect(await reasonOf(stolen)).toBe("SESSION_ENDED");
    expect(await reasonOf(next)).toBe("SESSION_ENDED");
  });

  it("ends the session when its successor has been used already, however soon", async () => {
    const stolen = await open();
    const latest = await renew(await renew(stolen));
    expect(await reasonOf(stolen)).toBe("SESSION_ENDED");
    expect(await reasonOf(latest)).toBe("SESSION_ENDED");
  });

  it("is worth nothing when it is forged, garbled, or another's", async () => {
    const [token, other] = [await open(), await open()];
    const [id, generation, mac] = token.split(".");
    const [, , foreign] = other.split(".");
    for (const bad of [
      "",
      "garbage",
      `${id}.${generation}`,
      `${id}.${generation}.`,
      `${id}.${Number(generation) + 1}.${mac}`,
      `${id}.${generation}.${foreign}`,
      `${id}.01.${mac}`,
      `${token}.more`,
      ` ${token}`,
    ]) {
      expect(await reasonOf(bad), bad).toBe("SESSION_ENDED");
    }
    await renew(token); // None of them has ended the session.
  });

  it("stops working when the session's time is over", async () => {
    const token = await open();
    pass(86_400_000);
    expect(await reasonOf(token)).toBe("SESSION_ENDED");
  });

  it("is refused to who was banned meanwhile, and to an account that is gone", async () => {
    const [banned, gone] = [inBody(somebody()), inBody(somebody())];
    const tokens = await Promise.all(
      [banned, gone].map(async (who) => {
        const { user, tokens: given } = await client.signUp(who);
        return { id: user?.id ?? "", token: given?.refreshToken ?? "" };
      }),
    );
    await users.updateOne({ _id: tokens[0]?.id ?? "" }, { status: "BANNED" });
    await users.deleteOne({ _id: tokens[1]?.id ?? "" });
    expect(await reasonOf(tokens[0]?.token ?? "")).toBe("BANNED");
    expect(await reasonOf(tokens[1]?.token ?? "")).toBe("SESSION_ENDED");
  });

  it("cannot be made from what the database holds", async () => {
    const token = await open();
    const [id, , mac = ""] = token.split(".");
    const stored = await sessions.findById(id).lean();
    expect(JSON.stringify(stored)).not.toContain(mac);
  });
});
