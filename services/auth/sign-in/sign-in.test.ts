import { Code } from "@connectrpc/connect";
import { UserCreatedSchema } from "@ticketing/proto/auth/v1/user_events";
import { fromBinary } from "@bufbuild/protobuf";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { describe, expect, it } from "vitest";
import { refusal } from "#runtime/testing/refusal.ts";
import { from, inBody, somebody, testAuth } from "../testing.ts";

const { client, users, keys, lines } = await testAuth();

/** The response of a call, and the cookies that it sets. */
async function withCookies<T>(
  call: (options: { onHeader: (headers: Headers) => void }) => Promise<T>,
): Promise<{ answer: T; cookies: string[]; headers: Headers }> {
  let headers = new Headers();
  const answer = await call({ onHeader: (given) => (headers = given) });
  return { answer, cookies: headers.getSetCookie(), headers };
}

describe("SignUp", () => {
  it("creates one account per address, whatever its case", async () => {
    const { email, password } = somebody();
    const { user } = await client.signUp({ email, password });
    expect(user).toMatchObject({ email, version: 1n, roles: [] });
    for (const again of [email, email.toLowerCase(), email.toUpperCase()]) {
      expect(await refusal(client.signUp({ email: again, password }))).toMatchObject({
        code: Code.AlreadyExists,
        reason: "EMAIL_TAKEN",
      });
    }
  });

  it("creates one account for ten concurrent calls with the same address", async () => {
    const who = somebody();
    const calls = await Promise.allSettled(Array.from({ length: 10 }, () => client.signUp(who)));
    expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await users.countDocuments({ emailKey: who.email.toLowerCase() })).toBe(1);
  });

  it("stores the password only as an argon2id hash with OWASP's parameters", async () => {
    const who = somebody();
    const { user } = await client.signUp(inBody(who));
    const stored = await users
      .findById(user?.id ?? "")
      .select("+passwordHash")
      .orFail();
    expect(stored.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(JSON.stringify(stored)).not.toContain(who.password);
    expect(JSON.stringify(lines)).not.toContain(who.password);
  });

  it("publishes an event without the address", async () => {
    const who = somebody();
    const { user } = await client.signUp(who);
    const { outbox } = await users.findById(user?.id ?? "").orFail();
    const [event] = outbox;
    expect(event?.type).toBe(UserCreatedSchema.typeName);
    const payload = event?.payload ?? Buffer.alloc(0);
    expect(payload.toString("latin1").toLowerCase()).not.toContain("example.com");
    expect(fromBinary(UserCreatedSchema, payload).user).toMatchObject({
      id: user?.id,
      version: 1n,
    });
  });

  it.each([
    ["an invalid address", { email: "nobody", password: "long enough" }, /^email /],
    ["no address", { email: "", password: "long enough" }, /^email /],
    [
      "a password of seven characters",
      { email: "a@example.com", password: "1234567" },
      /^password /,
    ],
    [
      "a password that is too long",
      { email: "a@example.com", password: "x".repeat(129) },
      /^password /,
    ],
  ])("refuses %s", async (_, request, field) => {
    const refused = await refusal(client.signUp(request));
    expect(refused.code).toBe(Code.InvalidArgument);
    expect(refused.violations).toEqual([expect.stringMatching(field)]);
  });

  it("uses the password as it is typed, to the last character", async () => {
    const { email } = somebody();
    const password = `  spaces, ümläut, 🎟️ and a tail after seventy-two bytes ${"x".repeat(30)}`;
    await client.signUp({ email, password });
    await client.signIn({ email, password });
    for (const other of [password.trim(), password.slice(0, -1), password.toUpperCase()]) {
      expect((await refusal(client.signIn({ email, password: other }))).reason).toBe(
        "WRONG_CREDENTIALS",
      );
    }
  });
});

describe("SignIn", () => {
  it("has the same response for an unknown address and a wrong password", async () => {
    const who = somebody();
    await client.signUp(who);
    const wrong = await refusal(client.signIn({ ...who, password: "something else" }));
    const unknown = await refusal(client.signIn(somebody()));
    expect(unknown).toEqual(wrong);
    expect(wrong).toMatchObject({ code: Code.Unauthenticated, reason: "WRONG_CREDENTIALS" });
  });

  it("refuses a banned user, and does not reveal the ban to strangers", async () => {
    const who = somebody();
    const { user } = await client.signUp(who);
    await users.updateOne({ _id: user?.id ?? "" }, { status: "BANNED" });
    expect((await refusal(client.signIn(who))).reason).toBe("BANNED");
    expect((await refusal(client.signIn({ ...who, password: "guess" }))).reason).toBe(
      "WRONG_CREDENTIALS",
    );
  });
});

describe("an access token", () => {
  it("contains user, session and roles for five minutes, and nothing else", async () => {
    const who = somebody();
    const { user, tokens } = await client.signUp(inBody(who));
    const token = tokens?.accessToken ?? "";
    expect(decodeProtectedHeader(token)).toEqual({ alg: "ES256", kid: "now", typ: "JWT" });
    const claims = decodeJwt(token);
    expect(claims).toEqual({
      sub: user?.id,
      sid: expect.any(String),
      roles: [],
      email_verified: false,
      iss: "ticketing",
      aud: "ticketing",
      iat: expect.any(Number),
      exp: (claims.iat ?? 0) + 300,
    });
  });

  it("can be verified with the published keys, which contain nothing private", () => {
    expect(keys.jwks.keys.map(({ kid }) => kid)).toEqual(["now", "next"]);
    for (const key of keys.jwks.keys) expect(key).not.toHaveProperty("d");
  });
});

describe("GetCurrentUser", () => {
  it("returns the caller of a header or cookie, and nobody for a stranger", async () => {
    const { user, tokens } = await client.signUp(inBody(somebody()));
    const token = tokens?.accessToken ?? "";
    for (const headers of [
      { authorization: `Bearer ${token}` },
      { cookie: `ticketing_access=${token}` },
      { cookie: `other=1; ticketing_access=${token}` },
    ]) {
      expect((await client.getCurrentUser({}, { headers })).user?.id).toBe(user?.id);
    }
    expect((await client.getCurrentUser({})).user).toBeUndefined();
    const stale = { headers: { cookie: "ticketing_access=garbage" } };
    expect((await client.getCurrentUser({}, stale)).user).toBeUndefined();
    const forged = { headers: { authorization: "Bearer a.b.c" } };
    expect((await client.getCurrentUser({}, forged)).user).toBeUndefined();
  });
});

it("an invalid token in a header does not prevent signing in, refreshing and signing out", async () => {
  const who = somebody();
  const { tokens } = await client.signUp(inBody(who));
  for (const authorization of ["Bearer a.b.c", "Basic YTpi", "", "Bearer"]) {
    const stale = { headers: { authorization } };
    expect((await client.signIn(inBody(who), stale)).user).toBeDefined();
    const { refreshToken = "" } = (await client.signIn(inBody(who), stale)).tokens ?? {};
    const renewed = await client.refreshSession({ refreshToken }, stale);
    expect(renewed.tokens?.accessToken).toBeTruthy();
    await client.signOut({ refreshToken: renewed.tokens?.refreshToken ?? "" }, stale);
  }
  expect(tokens?.accessToken).toBeTruthy();
});

describe("a session is delivered", () => {
  it("in HttpOnly cookies and not in the body by default", async () => {
    const { answer, cookies, headers } = await withCookies((options) =>
      client.signUp(somebody(), options),
    );
    expect(answer.tokens).toBeUndefined();
    expect(cookies.map((line) => line.replace(/=[^;]+/, "="))).toEqual([
      expect.stringMatching(/^ticketing_access=; Path=\/; Max-Age=.*; HttpOnly; SameSite=Lax$/),
      expect.stringMatching(/^ticketing_refresh=; Path=\/; Max-Age=.*; HttpOnly; SameSite=Lax$/),
    ]);
    expect(headers.get("cache-control")).toBe("no-store");
  });

  it("in the body and without cookies on request", async () => {
    const { answer, cookies } = await withCookies((options) =>
      client.signUp(inBody(somebody()), options),
    );
    expect(answer.tokens?.refreshToken).toBeTruthy();
    expect(cookies).toEqual([]);
  });

  it("in cookies that are tied to the host under TLS", async () => {
    const { client: secure } = await testAuth({ secure: true });
    const { cookies } = await withCookies((options) => secure.signUp(somebody(), options));
    for (const line of cookies)
      expect(line).toMatch(/^__Host-ticketing_\w+=.*; Path=\/;.*; Secure$/);
  });
});

describe("SignOut", () => {
  it("ends the session and clears the cookies, and succeeds without a session", async () => {
    const { tokens } = await client.signUp(inBody(somebody()));
    const refreshToken = tokens?.refreshToken ?? "";
    const { cookies } = await withCookies((options) => client.signOut({ refreshToken }, options));
    for (const line of cookies) expect(line).toMatch(/^ticketing_\w+=; .*Max-Age=0/);
    expect((await refusal(client.refreshSession({ refreshToken }))).reason).toBe("SESSION_ENDED");
    await client.signOut({ refreshToken });
    await client.signOut({});
  });
});

describe("password guessing", () => {
  const wrong = { password: "a wrong guess" };
  const defaults = { perAccount: 20, perAccountAndAddress: 10, perAddress: 100 };

  /**
   * Counts the reasons of 1,000 guesses. Only fifty are concurrent: on a busy machine Redis would not
   * respond to all of them in time, and the instance would also count alone.
   */
  async function tally(guess: (i: number) => Promise<{ reason: string | undefined }>) {
    const reasons: string[] = [];
    for (let done = 0; done < 1_000; done += 50) {
      const some = Array.from({ length: 50 }, (_, i) => guess(done + i));
      reasons.push(...(await Promise.all(some)).map(({ reason = "" }) => reason));
    }
    return Map.groupBy(reasons, (reason) => reason);
  }

  it("of one account from 50 addresses is limited to 20 attempts, and its owner can sign in", async () => {
    const limited = await testAuth(defaults);
    const who = somebody();
    const [home, office, elsewhere] = ["203.0.113.7", "198.51.100.9", "198.51.100.10"];
    await limited.client.signUp(who, from(home));
    await limited.client.signIn(who, from(office));
    const reasons = await tally((i) =>
      refusal(limited.client.signIn({ ...who, ...wrong }, from(`192.0.2.${i % 50}`))),
    );
    // The owner's first sign-in from the office was one of the 20.
    expect(reasons.get("WRONG_CREDENTIALS")).toHaveLength(19);
    expect(reasons.get("TOO_MANY_ATTEMPTS")).toHaveLength(981);
    await limited.client.signIn(who, from(home));
    await limited.client.signIn(who, from(office));
    // From an untrusted network the owner has to wait, also with the correct password.
    const stranger = await refusal(limited.client.signIn(who, from(elsewhere)));
    expect(stranger.reason).toBe("TOO_MANY_ATTEMPTS");
    expect(stranger.retryAfterMs).toBeGreaterThan(0);
  });

  it("of one account from one address is limited to 10 attempts, and its owner can sign in from anywhere", async () => {
    const limited = await testAuth(defaults);
    const who = somebody();
    await limited.client.signUp(who, from("203.0.113.7"));
    const reasons = await tally(() =>
      refusal(limited.client.signIn({ ...who, ...wrong }, from("192.0.2.1"))),
    );
    expect(reasons.get("WRONG_CREDENTIALS")).toHaveLength(10);
    await limited.client.signIn(who, from("198.51.100.9"));
    await limited.client.signIn(who, from("203.0.113.7"));
  });

  it("of 1,000 accounts from one address reaches 100 of them, and their owners can sign in", async () => {
    const limited = await testAuth(defaults);
    const who = somebody();
    await limited.client.signUp(who, from("203.0.113.7"));
    const reasons = await tally((i) => {
      const whose = i % 10 === 0 ? who.email : somebody().email;
      return refusal(limited.client.signIn({ ...wrong, email: whose }, from("192.0.2.2")));
    });
    expect(reasons.get("WRONG_CREDENTIALS")?.length).toBeLessThanOrEqual(100);
    await limited.client.signIn(who, from("203.0.113.7"));
    await limited.client.signIn(who, from("198.51.100.9"));
  });

  it("takes the same time with and without an account (P39)", { timeout: 600_000 }, async () => {
    const { client: asked } = await testAuth({
      perAccount: 10_000,
      perAccountAndAddress: 10_000,
      perAddress: 10_000,
    });
    const who = somebody();
    await asked.signUp(who);
    const time = async (email: string): Promise<number> => {
      const begun = performance.now();
      await refusal(asked.signIn({ email, ...wrong }));
      return performance.now() - begun;
    };
    const [known, unknown]: [number[], number[]] = [[], []];
    for (let i = 0; i < 250; i += 1) {
      known.push(await time(who.email));
      unknown.push(await time(somebody().email));
    }
    // How often a known address takes longer than an unknown one: half of the times if timing reveals nothing.
    const slower = known.flatMap((a) => unknown.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
    const auc = slower.reduce<number>((sum, one) => sum + one, 0) / slower.length;
    console.log(`sign-in, known against unknown address, 250 each: AUC ${auc.toFixed(3)}`);
    expect(Math.abs(auc - 0.5)).toBeLessThan(0.12);
  });

  it("is limited for one account from one address, and its owner can sign in elsewhere", async () => {
    const limited = await testAuth({ perAccountAndAddress: 3 });
    const who = somebody();
    const [thief, owner] = [crypto.randomUUID(), crypto.randomUUID()];
    await limited.client.signUp(who);
    const guess = () => refusal(limited.client.signIn({ ...who, ...wrong }, from(thief)));
    for (let i = 0; i < 3; i += 1) expect((await guess()).reason).toBe("WRONG_CREDENTIALS");
    const slowed = await guess();
    expect(slowed).toMatchObject({ code: Code.ResourceExhausted, reason: "TOO_MANY_ATTEMPTS" });
    expect(slowed.retryAfterMs).toBeGreaterThan(0);
    await limited.client.signIn(who, from(owner));
    expect(await limited.redis.keys(`*${who.email.toLowerCase()}*`)).toEqual([]);
  });

  it("is no longer counted after a successful sign-in", async () => {
    const limited = await testAuth({ perAccountAndAddress: 3 });
    const who = somebody();
    const address = from(crypto.randomUUID());
    await limited.client.signUp(who);
    for (let round = 0; round < 3; round += 1) {
      await refusal(limited.client.signIn({ ...who, ...wrong }, address));
      await limited.client.signIn(who, address);
    }
  });

  it("is limited for many accounts from one address", async () => {
    const limited = await testAuth({ perAddress: 3 });
    const address = from(crypto.randomUUID());
    const reasons = [];
    for (let i = 0; i < 4; i += 1)
      reasons.push((await refusal(limited.client.signIn(somebody(), address))).reason);
    expect(reasons.slice(0, 3)).toEqual(Array(3).fill("WRONG_CREDENTIALS"));
    expect(reasons[3]).toBe("TOO_MANY_ATTEMPTS");
  });

  it("is still limited without Redis, and the owner can sign in", async () => {
    const limited = await testAuth({ perAccountAndAddress: 2 });
    const who = somebody();
    await limited.client.signUp(who);
    limited.redis.destroy();
    const thief = from(crypto.randomUUID());
    const guess = () => refusal(limited.client.signIn({ ...who, ...wrong }, thief));
    expect([(await guess()).reason, (await guess()).reason, (await guess()).reason]).toEqual([
      "WRONG_CREDENTIALS",
      "WRONG_CREDENTIALS",
      "TOO_MANY_ATTEMPTS",
    ]);
    await limited.client.signIn(who, from(crypto.randomUUID()));
  });
});
