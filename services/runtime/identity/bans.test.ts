import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Access } from "@ticketing/proto/options/v1/options";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { createClient as createRedis, type RedisClientType } from "redis";
import { afterAll, describe, expect, inject, it } from "vitest";
import { ACCESS_COOKIE } from "./cookies.ts";
import { callerIfAny } from "../rpc/authentication.ts";
import { banSnapshot } from "./ban-snapshot.ts";
import {
  banCache,
  subscribeToBans,
  BAN_RETENTION_MS,
  type BanEvent,
  type ExpiringBan,
} from "./bans.ts";
import { connectBroker, type Broker } from "../messaging/broker/broker.ts";
import { toProperties } from "../messaging/topology/envelope.ts";
import { newId } from "../store/ids.ts";
import { interceptors } from "../rpc/server.ts";
import { declareAt, testBroker, testVhost } from "../testing/broker.ts";
import { eventually } from "../testing/eventually.ts";
import { TEST_CALL_TIMEOUT_MS } from "../testing/client.ts";
import { refusal } from "../testing/refusal.ts";
import { testTokenRules, token } from "../testing/tokens.ts";
import { silentLog } from "../testing/log.ts";
import { testProxy } from "../testing/proxy.ts";
import { wordService, type WordClient } from "../testing/word-service.ts";
import { EVENTS_EXCHANGE } from "../messaging/topology/topology.ts";

/** The size of the heap after a garbage collection. */
function heapInUse(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

const kept = (
  userId: string,
  version: number,
  banned = true,
  expiresAt = Date.now() + BAN_RETENTION_MS,
) => ({
  userId,
  version,
  banned,
  expiresAt,
});

describe("the ban cache", () => {
  it("uses the newest version, whatever the order of the events", () => {
    const memory = banCache();
    memory.hear(kept("ann", 3, false));
    memory.hear(kept("ann", 2));
    memory.hear(kept("ann", 3));
    expect(memory.isBanned("ann")).toBe(false);
    memory.hear(kept("ann", 4));
    memory.hear(kept("ann", 4));
    expect(memory.isBanned("ann")).toBe(true);
    expect(memory.isBanned("bob")).toBe(false);
  });

  it("keeps a deletion after any other event, whatever its version", () => {
    const memory = banCache();
    const gone = { ...kept("ann", 3), deleted: true };
    memory.hear(kept("ann", 5, false));
    memory.hear(gone);
    expect(memory.isBanned("ann")).toBe(true);
    memory.hear(kept("ann", 6, false));
    expect(memory.isBanned("ann")).toBe(true);
  });

  it("keeps no ban longer than the lifetime of a token", () => {
    let now = 0;
    const memory = banCache(() => now);
    memory.hear(kept("ann", 1, true, 1_000));
    now = 1_000;
    memory.forget();
    memory.hear(kept("bob", 1, true, 1_000));
    expect(memory.size).toBe(0);
  });

  it("holds 100,000 bans in less than 50 MB", () => {
    const before = heapInUse();
    const memory = banCache();
    for (let i = 0; i < 100_000; i += 1) memory.hear(kept(newId(), 1));
    expect(memory.size).toBe(100_000);
    expect(heapInUse() - before).toBeLessThan(50e6);
  });
});

const BANNED = "ticketing.one.v1.Banned";
const UNBANNED = "ticketing.one.v1.Unbanned";
const events: BanEvent[] = [BANNED, UNBANNED].map((type) => ({
  type,
  read(body) {
    const [userId = "", version] = Buffer.from(body).toString().split(" ");
    return { userId, version: Number(version), banned: type === BANNED };
  },
}));

describe("an instance", () => {
  const say = (broker: Broker, type: string, body: string): Promise<void> => {
    const envelope = { id: newId(), type, time: new Date(), subject: "", source: "auth" };
    return broker.publish(EVENTS_EXCHANGE, type, Buffer.from(body), toProperties(envelope));
  };

  it("receives every ban, like the other instances of its service", async () => {
    const one = await testBroker("one", {});
    const two = await testBroker("one", {}, { url: one.url });
    const options = { log: silentLog, events, load: () => Promise.resolve([]) };
    const follow = async (broker: typeof one) => subscribeToBans({ ...options, broker });
    const both = [await follow(one), await follow(two)];
    await say(one, BANNED, "ann 2");
    await eventually(
      () => both.every((bans) => bans.isBanned("ann")),
      "both instances to know the ban",
    );
    await say(one, BANNED, "bob not-to-be-read");
    await say(one, UNBANNED, "ann 3");
    await eventually(
      () => both.every((bans) => !bans.isBanned("ann")),
      "both instances to know the end of the ban",
    );
    for (const bans of both) bans.close();
  });

  it("binds its queue first, then loads, and resolves after the first load", async () => {
    const broker = await testBroker("one", {});
    let loads = 0;
    const load = async (): Promise<ExpiringBan[] | undefined> => {
      loads += 1;
      if (loads === 1) throw new Error("no Redis");
      if (loads === 2) return undefined;
      await say(broker, UNBANNED, "ann 5"); // The queue is bound, so the event is received.
      return [kept("ann", 4), kept("bob", 1)];
    };
    const bans = await subscribeToBans({ broker, log: silentLog, events, load });
    expect(loads).toBeGreaterThan(2);
    expect(bans.isBanned("bob")).toBe(true);
    await eventually(() => !bans.isBanned("ann"), "the newer version");
    bans.close();
  });

  it("loads the bans again after its connection was lost, and receives events again", async () => {
    const vhost = await testVhost();
    const line = await testProxy(Number(new URL(vhost).port));
    const way = new URL(vhost);
    way.port = String(line.port);
    await declareAt(vhost, { subscriptions: {} });
    const broker = await connectBroker({
      ...{ url: way.href, name: "one", subscriptions: {}, log: silentLog },
    });
    let known: ExpiringBan[] | undefined = [kept("bob", 1)];
    const load = () => Promise.resolve(known);
    const bans = await subscribeToBans({ broker, log: silentLog, events, load });
    known = [kept("ann", 1)];
    line.cut();
    await eventually(() => !broker.connected, "the loss of the connection");
    line.mend();
    await eventually(() => bans.isBanned("ann"), "the missed ban");
    expect(bans.isBanned("bob")).toBe(true);
    known = undefined;
    await bans.reload();
    expect(bans.isBanned("bob")).toBe(true);
    await eventually(() => broker.connected, "the connection to the broker");
    await say(broker, BANNED, "eve 1");
    await eventually(() => bans.isBanned("eve"), "the next ban");
    bans.close();
    await broker.close();
  });
});

describe("the ban snapshot in Redis", async () => {
  const redis = createRedis({
    url: inject("parts").redisUrl,
    database: 1, // Other test files use database 0.
  }) as RedisClientType;
  redis.on("error", () => undefined);
  await redis.connect();
  afterAll(() => redis.destroy());
  const snapshot = banSnapshot(redis);

  it("is undefined until it is complete", async () => {
    await redis.del("bans");
    await snapshot.put([kept("ann", 2)]);
    expect(await snapshot.load()).toBeUndefined();
    const bob = kept("bob", 1, false);
    await snapshot.rewrite([bob]);
    expect(await snapshot.isWhole()).toBe(true);
    expect(await snapshot.load()).toEqual(
      expect.arrayContaining([expect.objectContaining({ userId: "ann" }), bob]),
    );
    await snapshot.breakUp();
    expect(await snapshot.load()).toBeUndefined();
  });

  it("keeps the newer version, whatever the order of the writes", async () => {
    await redis.del("bans");
    await snapshot.put([kept("ann", 10, false)]);
    await snapshot.rewrite([kept("ann", 9)]);
    expect(await snapshot.load()).toEqual([
      expect.objectContaining({ version: 10, banned: false }),
    ]);
  });

  it("keeps a deletion, whatever the order of the writes", async () => {
    await redis.del("bans");
    const gone = { ...kept("ann", 3), deleted: true };
    await snapshot.put([kept("ann", 5, false), gone, kept("ann", 6, false)]);
    await snapshot.rewrite([kept("ann", 7, false)]);
    expect(await snapshot.load()).toEqual([gone]);
  });

  it.each(["", "9", "99 free", "free", "x banned y", "99 free 1e99", "\u0000", "9 ".repeat(999)])(
    "ignores an invalid ban and replaces it by the next one: %#",
    async (odd) => {
      await redis.del("bans");
      await snapshot.rewrite([]);
      await redis.hSet("bans", "ann", odd);
      expect(await snapshot.load()).toEqual([]);
      await snapshot.put([kept("ann", 1), kept("bob", 1)]);
      expect((await snapshot.load())?.map(({ userId }) => userId)).toEqual(["ann", "bob"]);
      await snapshot.prune(Date.now());
    },
  );

  it("removes the bans of users who cannot have a valid token any more", async () => {
    await redis.del("bans");
    await snapshot.rewrite([kept("ann", 1, true, 5), kept("bob", 1, true, 10)]);
    await snapshot.prune(5);
    expect((await snapshot.load())?.map(({ userId }) => userId)).toEqual(["bob"]);
  });
});

describe("the valid token of a banned user", async () => {
  const answer = (_: string, ctx: Parameters<typeof callerIfAny>[0]) =>
    callerIfAny(ctx)?.id ?? "a stranger";
  const { service, routes } = wordService({
    Open: { access: Access.ANYONE, answer },
    SignIn: { access: Access.ANYONE, ownCredentials: true, answer },
    SignedIn: { access: Access.SIGNED_IN, answer },
  });
  const withBans = { ...testTokenRules, isBanned: (id: string) => id === "eve" };
  const router = { interceptors: interceptors(silentLog, withBans, TEST_CALL_TIMEOUT_MS) };
  const client = createClient(
    service,
    createRouterTransport(routes, { router }),
  ) as unknown as WordClient;
  const eve = await token({ sub: "eve" });
  const ann = await token({ sub: "ann" });

  it.each(["open", "signedIn"])("is refused in a header: %s", async (method) => {
    const headers = { authorization: `Bearer ${eve}` };
    expect((await refusal(client[method]!({}, { headers }))).reason).toBe("BANNED");
  });

  it("counts as anonymous in a cookie if the method allows that, and is refused otherwise", async () => {
    const headers = { cookie: `${ACCESS_COOKIE}=${eve}` };
    expect((await client["open"]!({}, { headers })).value).toBe("a stranger");
    expect((await refusal(client["signedIn"]!({}, { headers }))).reason).toBe("BANNED");
  });

  it("is ignored by a method that uses its own credentials", async () => {
    const headers = { authorization: `Bearer ${eve}` };
    expect((await client["signIn"]!({}, { headers })).value).toBe("a stranger");
  });

  it("does not affect other users", async () => {
    const headers = { authorization: `Bearer ${ann}` };
    expect((await client["signedIn"]!({}, { headers })).value).toBe("ann");
  });
});
