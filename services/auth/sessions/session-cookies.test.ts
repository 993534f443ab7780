import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { refusal } from "#runtime/testing/refusal.ts";
import { browserOf } from "../testing-browser.ts";
import { testAuth } from "../testing.ts";

const auth = await testAuth();
const { client, sessions } = auth;
const { browser, signedIn } = browserOf(client);

const ageOf = (line: string | undefined): number => Number(/Max-Age=(\d+);/.exec(line ?? "")?.[1]);

describe("the cookies of a session", () => {
  it("live as long as the tokens in them", async () => {
    const { call, lines, who } = await signedIn();
    for (const method of ["signIn", "refreshSession"] as const) {
      await call(method, method === "signIn" ? who : {});
      const [access, refresh] = lines();
      expect(ageOf(access)).toBeGreaterThan(290);
      expect(ageOf(access)).toBeLessThanOrEqual(300);
      expect(ageOf(refresh)).toBeGreaterThan(86_300);
      expect(ageOf(refresh)).toBeLessThanOrEqual(86_400);
    }
  });

  it("are small enough for every browser", async () => {
    const { lines } = await signedIn();
    for (const line of lines()) expect(line.length).toBeLessThan(4096);
  });

  it("are the only ones, and have all their attributes with and without TLS (P41)", async () => {
    for (const secure of [true, false]) {
      const { client: asked } = await testAuth({ secure });
      const { call, lines, who } = await signedIn(asked);
      const seen = [...lines()];
      for (const method of ["signIn", "refreshSession", "signOut", "getCurrentUser"] as const) {
        await call(method, method === "signIn" ? who : {});
        if (method !== "getCurrentUser") expect(lines()).toHaveLength(2);
        seen.push(...lines());
      }
      for (const line of seen) {
        const [pair = "", ...attributes] = line.split("; ");
        expect(pair.split("=")[0]).toMatch(
          secure ? /^__Host-ticketing_(access|refresh)$/ : /^ticketing_(access|refresh)$/,
        );
        const age = expect.stringMatching(/^Max-Age=\d+$/);
        const usual = ["Path=/", age, "HttpOnly", "SameSite=Lax"];
        expect(attributes).toEqual(secure ? [...usual, "Secure"] : usual);
      }
    }
  });

  it("identify the caller until the access token expires", async () => {
    const { call, id, jar } = await signedIn();
    expect((await call("getCurrentUser")).user?.id).toBe(id);
    jar.delete("ticketing_access");
    expect((await call("getCurrentUser")).user).toBeUndefined();
    await call("refreshSession");
    expect((await call("getCurrentUser")).user?.id).toBe(id);
  });

  it("are renewed by their refresh token, without tokens in the body", async () => {
    const { call, jar } = await signedIn();
    const before = new Map(jar);
    const { tokens } = await call("refreshSession");
    expect(tokens).toBeUndefined();
    expect(jar.get("ticketing_refresh")).not.toBe(before.get("ticketing_refresh"));
    expect([...jar.keys()]).toEqual([...before.keys()]);
  });

  it("are not changed if the refresh token was in the body", async () => {
    const { call, jar, lines } = await signedIn();
    const refreshToken = jar.get("ticketing_refresh") ?? "";
    const { tokens } = await call("refreshSession", { refreshToken });
    expect(tokens).toMatchObject({ refreshToken: expect.any(String) });
    expect(lines()).toEqual([]);
  });

  it("are cleared when the session has ended", async () => {
    const { call, jar, id } = await signedIn();
    await sessions.deleteMany({ userId: id });
    await expect(call("refreshSession")).rejects.toThrow();
    expect(jar.size).toBe(0);
  });
});

describe("signing out", () => {
  it("ends the session of the cookies and clears them", async () => {
    const { call, jar, id } = await signedIn();
    const refreshToken = jar.get("ticketing_refresh") ?? "";
    await call("signOut");
    expect(jar.size).toBe(0);
    expect(await sessions.countDocuments({ userId: id })).toBe(0);
    expect((await refusal(client.refreshSession({ refreshToken }))).reason).toBe("SESSION_ENDED");
    expect((await call("getCurrentUser")).user).toBeUndefined();
  });

  it("ends the session of a client that has only its access token", async () => {
    const { jar, id } = await signedIn();
    const authorization = `Bearer ${jar.get("ticketing_access")}`;
    await client.signOut({}, { headers: { authorization } });
    expect(await sessions.countDocuments({ userId: id })).toBe(0);
  });

  it("ends no other session of the same user", async () => {
    const first = await signedIn();
    const second = browser();
    await second.call("signIn", first.who);
    await first.call("signOut");
    expect((await second.call("refreshSession")).user?.id).toBe(first.id);
  });

  it("with an invalid token still clears the cookies", async () => {
    const { call, jar } = browser();
    jar.set("ticketing_access", "garbage").set("ticketing_refresh", "garbage");
    await call("signOut");
    expect(jar.size).toBe(0);
  });
});

describe("a session", () => {
  it("of a banned or deleted user shows no user", async () => {
    const [banned, gone] = [await signedIn(), await signedIn()];
    await auth.users.updateOne({ _id: banned.id }, { status: "BANNED" });
    await auth.users.deleteOne({ _id: gone.id });
    expect((await banned.call("getCurrentUser")).user).toBeUndefined();
    expect((await gone.call("getCurrentUser")).user).toBeUndefined();
  });

  it("is not extended by refreshes", async () => {
    const timed = await testAuth();
    const { call, lines } = await signedIn(timed.client);
    timed.pass(50_000_000);
    await call("refreshSession");
    const { expiresAt } = await timed.sessions.findOne().orFail();
    expect(expiresAt.getTime()).toBeLessThanOrEqual(Date.now() + 86_400_000);
    expect(ageOf(lines()[1])).toBeLessThanOrEqual(86_400);
    timed.pass(50_000_000);
    await expect(call("refreshSession")).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  it("that was stolen ends for thief and victim, whichever refreshes first", async () => {
    for (const thiefFirst of [true, false]) {
      const victim = await signedIn();
      const stolen = { refreshToken: victim.jar.get("ticketing_refresh") ?? "" };
      const [first, second] = thiefFirst
        ? [() => client.refreshSession(stolen), () => victim.call("refreshSession")]
        : [() => victim.call("refreshSession"), () => client.refreshSession(stolen)];
      const { tokens } = (await first()) as { tokens?: { refreshToken: string } };
      auth.pass(11_000);
      expect((await refusal(second())).reason).toBe("SESSION_ENDED");
      const latest = tokens ?? { refreshToken: victim.jar.get("ticketing_refresh") ?? "" };
      const refused = await refusal(client.refreshSession({ refreshToken: latest.refreshToken }));
      expect(refused.reason).toBe("SESSION_ENDED");
      expect(await sessions.countDocuments({ userId: victim.id })).toBe(0);
    }
  });
});

describe("a secret", () => {
  it("is in no log line, and in no event", async () => {
    const { call, jar, who, id } = await signedIn();
    await call("signIn", { ...who, password: "a wrong guess" }).catch(() => undefined);
    await call("refreshSession");
    const { outbox } = await auth.users.findById(id).select("+passwordHash").orFail();
    const { passwordHash } = await auth.users.findById(id).select("+passwordHash").orFail();
    const output = [
      JSON.stringify(auth.lines),
      ...outbox.map(({ payload }) => payload.toString("latin1")),
    ].join("\n");
    expect(auth.lines.length).toBeGreaterThan(0);
    const secrets = [who.password, "a wrong guess", who.email, passwordHash, ...jar.values()];
    for (const secret of secrets) expect(output.toLowerCase()).not.toContain(secret.toLowerCase());
  });
});
