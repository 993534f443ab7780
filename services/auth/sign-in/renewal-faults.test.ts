import { Code } from "@connectrpc/connect";
import { mongo } from "mongoose";
import { describe, expect, it, vi } from "vitest";
import { eventually } from "#runtime/testing/eventually.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { browserOf } from "../testing-browser.ts";
import { testAuth } from "../testing.ts";

const auth = await testAuth();
const { client, sessions } = auth;
const { signedIn } = browserOf(client);

describe("a refresh that fails on the server", () => {
  type Query = (...args: unknown[]) => { lean(): Promise<unknown> };

  /** Makes a model fail as if the database were down, before or after its write. */
  function failing(model: object, method: string, when: "before" | "after" = "before"): () => void {
    const methods = model as Record<string, Query>;
    const real = methods[method]!.bind(model);
    const away = new mongo.MongoServerSelectionError("no primary", {} as never);
    const spy = vi.spyOn(methods, method).mockImplementation((...args) => ({
      async lean() {
        if (when === "after") await real(...args).lean();
        throw away;
      },
    }));
    return () => spy.mockRestore();
  }

  it.each([
    ["before the rotation", "sessions", "findOneAndUpdate", "before"],
    ["after the rotation", "sessions", "findOneAndUpdate", "after"],
    ["when the user is loaded", "users", "findById", "before"],
  ] as const)("keeps the cookies, and works later (%s)", async (_, model, method, when) => {
    const { call, jar, lines, id } = await signedIn();
    const before = new Map(jar);
    const mend = failing(auth[model], method, when);
    await expect(call("refreshSession")).rejects.toMatchObject({ code: Code.Unavailable });
    mend();
    expect(lines()).toEqual([]);
    expect(jar).toEqual(before);
    // The old token works much later, because no client has received its successor.
    auth.pass(3_600_000);
    if (when === "after") await auth.sessionStore.storeUndelivered();
    expect((await call("refreshSession")).user?.id).toBe(id);
    auth.pass(-3_600_000);
  });

  it("is not taken for theft if the client disconnected", async () => {
    const { call, jar, id } = await signedIn();
    const refreshToken = jar.get("ticketing_refresh") ?? "";
    const { sign } = auth.keys;
    const disconnect = new AbortController();
    auth.keys.sign = (claims) => {
      auth.keys.sign = sign;
      disconnect.abort();
      return sign(claims);
    };
    const gone = client.refreshSession({ refreshToken }, { signal: disconnect.signal });
    await expect(gone).rejects.toMatchObject({ code: Code.Canceled });
    auth.pass(60_000);
    await eventually(
      () => client.refreshSession({ refreshToken }).then(({ user }) => user?.id === id),
      "the session to continue",
    );
    await call("refreshSession");
    auth.pass(-60_000);
  });

  it("is not excused twice: once the successor is used, the old token ends the session", async () => {
    const { call, jar, id } = await signedIn();
    const refreshToken = jar.get("ticketing_refresh") ?? "";
    const mend = failing(auth.users, "findById");
    await expect(call("refreshSession")).rejects.toThrow();
    mend();
    await auth.sessionStore.storeUndelivered();
    await call("refreshSession");
    await call("refreshSession");
    const reused = await refusal(client.refreshSession({ refreshToken }));
    expect(reused.reason).toBe("SESSION_ENDED");
    expect(await sessions.countDocuments({ userId: id })).toBe(0);
  });

  it("keeps the cookies at the rate limit, and works without Redis", async () => {
    const limited = await testAuth({ refreshesPerSession: 1 });
    const { call, jar, lines } = await signedIn(limited.client);
    await call("refreshSession");
    const before = new Map(jar);
    await expect(call("refreshSession")).rejects.toMatchObject({ code: Code.ResourceExhausted });
    expect(lines()).toEqual([]);
    expect(jar).toEqual(before);
    const other = await signedIn(limited.client);
    limited.redis.destroy();
    await other.call("refreshSession");
    expect(other.jar.size).toBe(2);
  });

  it.each(["BANNED", "DELETED"] as const)(
    "is unlike one of a %s user, which clears the cookies",
    async (status) => {
      const { call, jar, id } = await signedIn();
      await auth.users.updateOne({ _id: id }, { status });
      await expect(call("refreshSession")).rejects.toThrow();
      expect(jar.size).toBe(0);
    },
  );
});
