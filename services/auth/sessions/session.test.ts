import { describe, expect, it } from "vitest";
import { refusal } from "#runtime/testing/refusal.ts";
import { from, inBody, somebody, testAuth } from "../testing.ts";

const { client, sessionStore, sessions, users, pass } = await testAuth();

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

  it("gives the same successor to twenty concurrent uses (two tabs, a lost response)", async () => {
    const token = await open();
    const successors = await Promise.all(Array.from({ length: 20 }, () => renew(token)));
    expect(new Set(successors).size).toBe(1);
    await renew(successors[0] ?? "");
  });

  it("ends the session for everyone when it is reused later (P45)", async () => {
    const stolen = await open();
    const next = await renew(stolen);
    pass(11_000);
    expect(await reasonOf(stolen)).toBe("SESSION_ENDED");
    expect(await reasonOf(next)).toBe("SESSION_ENDED");
  });

  it("ends the session when it is reused after its successor", async () => {
    const stolen = await open();
    const latest = await renew(await renew(stolen));
    expect(await reasonOf(stolen)).toBe("SESSION_ENDED");
    expect(await reasonOf(latest)).toBe("SESSION_ENDED");
  });

  it("is refused if it is forged or belongs to another session", async () => {
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
    await renew(token); // None of the attempts has ended the session.
  });

  it("stops working when the session expires", async () => {
    const token = await open();
    pass(86_400_000);
    expect(await reasonOf(token)).toBe("SESSION_ENDED");
  });

  it("is refused for a banned and for a deleted user", async () => {
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

  it("cannot be derived from the database", async () => {
    const token = await open();
    const [id, , mac = ""] = token.split(".");
    const stored = await sessions.findById(id).lean();
    expect(JSON.stringify(stored)).not.toContain(mac);
  });
});

describe("a stolen refresh token", () => {
  it("ends the session in each of 200 rounds, for the thief and for the victim", async () => {
    const left = new Set<string>();
    for (let round = 0; round < 200; round += 1) {
      const { id, refreshToken: stolen } = await sessionStore.start({ _id: `victim ${round}` });
      const first = await sessionStore.renew(stolen);
      // Reuse after the successor was used, or after the grace period, is theft.
      const latest = round % 2 === 0 ? await sessionStore.renew(first.refreshToken) : first;
      if (round % 2 === 1) pass(10_001);
      await expect(sessionStore.renew(stolen)).rejects.toMatchObject({ reason: "SESSION_ENDED" });
      await expect(sessionStore.renew(latest.refreshToken)).rejects.toMatchObject({
        reason: "SESSION_ENDED",
      });
      if (await sessions.exists({ _id: id })) left.add(id);
    }
    expect(left.size).toBe(0);
  });

  it("is not assumed for twenty concurrent refreshes, in each of 20 rounds", async () => {
    for (let round = 0; round < 20; round += 1) {
      const { id, refreshToken } = await sessionStore.start({ _id: `tabs ${round}` });
      const twenty = Array.from({ length: 20 }, () => sessionStore.renew(refreshToken));
      const successors = new Set((await Promise.all(twenty)).map((each) => each.refreshToken));
      expect(successors.size).toBe(1);
      expect((await sessionStore.renew([...successors][0]!)).id).toBe(id);
      expect(await sessions.countDocuments({ userId: `tabs ${round}` })).toBe(1);
    }
  });
});

describe("one's own sessions", () => {
  const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  const withToken = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  /** A user with two sessions: one in Firefox at home, and one of an unknown client. */
  async function twice() {
    const who = inBody(somebody());
    const home = await client.signUp(who, from("192.168.1.7", { "user-agent": firefox }));
    const away = await client.signIn(who, from("203.0.113.9", { "user-agent": "<b>x</b>" }));
    const [first, second] = [home.tokens!, away.tokens!];
    const list = (token: string) => client.listSessions({}, withToken(token));
    return { first, second, list, id: home.user!.id };
  }

  it("are listed with device, network and times, the most recently used first", async () => {
    const { first, second, list } = await twice();
    const { sessions: shown } = await list(second.accessToken);
    expect(shown.map(({ device, place, current }) => ({ device, place, current }))).toEqual([
      { device: "", place: "", current: true },
      { device: "Firefox on Linux", place: "a private network", current: false },
    ]);
    pass(60_000);
    await client.refreshSession({ refreshToken: first.refreshToken });
    const { sessions: after } = await list(second.accessToken);
    expect(after.map(({ current }) => current)).toEqual([false, true]);
    const [made, used, ends] = [
      after[0]?.createTime,
      after[0]?.lastUseTime,
      after[0]?.expiresAt,
    ].map((time) => Number(time?.seconds)) as [number, number, number];
    expect(used - made).toBeGreaterThanOrEqual(59);
    expect(used - made).toBeLessThan(600);
    expect(Math.abs(ends - made - 86_400)).toBeLessThanOrEqual(1);
  });

  it("can be ended one by one, and those of others cannot", async () => {
    const [ann, bob] = [await twice(), await twice()];
    const { sessions: shown } = await ann.list(ann.second.accessToken);
    const { id } = shown.find(({ current }) => !current)!;
    await client.endSession({ id }, withToken(bob.first.accessToken));
    expect((await ann.list(ann.second.accessToken)).sessions).toHaveLength(2);
    for (let i = 0; i < 2; i += 1) {
      await client.endSession({ id }, withToken(ann.second.accessToken));
    }
    expect(await reasonOf(ann.first.refreshToken)).toBe("SESSION_ENDED");
    await renew(ann.second.refreshToken);
    expect((await bob.list(bob.first.accessToken)).sessions).toHaveLength(2);
  });

  it("all end by signing out everywhere, and those of others do not", async () => {
    const [ann, bob] = [await twice(), await twice()];
    let headers = new Headers();
    await client.signOutEverywhere(
      {},
      { ...withToken(ann.first.accessToken), onHeader: (given) => (headers = given) },
    );
    expect(headers.getSetCookie()).toEqual([
      expect.stringMatching(/^ticketing_access=; .*Max-Age=0/),
      expect.stringMatching(/^ticketing_refresh=; .*Max-Age=0/),
    ]);
    for (const { refreshToken } of [ann.first, ann.second]) {
      expect(await reasonOf(refreshToken)).toBe("SESSION_ENDED");
    }
    await renew(bob.first.refreshToken);
    // Other services accept the access token for its remaining minutes. Auth does not.
    expect(
      (await client.getCurrentUser({}, withToken(ann.second.accessToken))).user,
    ).toBeUndefined();
    const { user } = await client.getCurrentUser({}, withToken(bob.first.accessToken));
    expect(user?.id).toBe(bob.id);
  });

  it("can all be ended except one", async () => {
    const [kept, other] = [
      await sessionStore.start({ _id: "cat" }),
      await sessionStore.start({ _id: "cat" }),
    ];
    await sessionStore.endAll("cat", kept.id);
    expect(await sessions.distinct("_id", { userId: "cat" })).toEqual([kept.id]);
    await expect(sessionStore.renew(other.refreshToken)).rejects.toThrow();
  });

  it("cannot be listed or ended without a token", async () => {
    for (const call of [
      client.listSessions({}),
      client.signOutEverywhere({}),
      client.endSession({ id: crypto.randomUUID() }),
    ]) {
      expect((await refusal(call)).reason).toBe("UNAUTHENTICATED");
    }
  });

  it("have a limit of refreshes over all addresses", async () => {
    const { client: limited } = await testAuth({ refreshesPerSession: 3 });
    let token = (await limited.signUp(inBody(somebody()))).tokens!.refreshToken;
    for (let i = 0; i < 3; i += 1) {
      const answer = await limited.refreshSession({ refreshToken: token }, from(`192.0.2.${i}`));
      token = answer.tokens!.refreshToken;
    }
    const refused = await refusal(
      limited.refreshSession({ refreshToken: token }, from("192.0.2.9")),
    );
    expect(refused.reason).toBe("TOO_MANY_ATTEMPTS");
    expect(refused.retryAfterMs).toBeGreaterThan(0);
  });
});
