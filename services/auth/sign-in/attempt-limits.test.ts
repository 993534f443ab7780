import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { createClient, type RedisClientType } from "redis";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { DomainError } from "#runtime/errors.ts";
import { connectRedis } from "#runtime/store/redis.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { testProxy } from "#runtime/testing/proxy.ts";
import { attemptLimits, type AttemptLimits } from "./attempt-limits.ts";
import type { TrustedNetworks } from "./trusted-networks.ts";

const { redisUrl } = inject("parts");

/** Trusted networks in the memory of this process. */
function trustedNetworksInMemory(): TrustedNetworks {
  const all = new Set<string>();
  return {
    isTrusted: async (account, clientAddress) => all.has(`${account} ${clientAddress}`),
    trust: async (account, clientAddress) => void all.add(`${account} ${clientAddress}`),
  };
}
const trustedNetworks = trustedNetworksInMemory();
const limits = {
  trustedNetworks,
  perAccount: 7,
  perAccountAndAddress: 3,
  perAddress: 5,
  refreshesPerAddress: 4,
  refreshesPerSession: 2,
  mailsPerAddress: 2,
  resetSeconds: 60,
  windowSeconds: 60,
};

async function connected(url = redisUrl): Promise<RedisClientType> {
  const redis = await connectRedis(url, silentLog);
  onTestFinished(() => redis.destroy());
  return redis;
}

/** How often a call succeeds before it is refused. */
async function allowed(count: () => Promise<void>): Promise<{ times: number; error: DomainError }> {
  for (let times = 0; times < 100; times += 1) {
    const error = await count().then(
      () => undefined,
      (reason: unknown) => reason as DomainError,
    );
    if (error) return { times, error };
  }
  throw new Error("no call was refused");
}

const somewhere = (): string => crypto.randomUUID();

describe("attempts", () => {
  it("are counted per account and address, and per address, separately from refreshes", async () => {
    const attempts = attemptLimits({ redis: await connected(), ...limits });
    const [address, ann, bob] = [somewhere(), somewhere(), somewhere()];
    expect((await allowed(() => attempts.count(address, ann))).times).toBe(3);
    expect((await allowed(() => attempts.count(address, bob))).times).toBe(1); // The fifth one from this address.
    expect((await allowed(() => attempts.countRefresh(address))).times).toBe(4);
    const elsewhere = somewhere();
    expect((await allowed(() => attempts.count(elsewhere, ann))).times).toBe(3);
  });

  it("are counted per account over all untrusted networks (P40)", async () => {
    const attempts = attemptLimits({ redis: await connected(), ...limits });
    const [home, ann] = [somewhere(), somewhere()];
    await attempts.recordSuccess(home, ann);
    expect((await allowed(() => attempts.count(somewhere(), ann))).times).toBe(7);
    expect((await allowed(() => attempts.count(home, ann))).times).toBe(3);
    await attempts.recordSuccess(home, ann);
    await attempts.count(home, ann);
  });

  it.each(["countSignUp", "countReset"] as const)(
    "are counted per address and account, so that strangers lock nobody out: %s",
    async (count) => {
      const attempts = attemptLimits({ redis: await connected(), ...limits });
      const [address, ann] = [somewhere(), somewhere()];
      expect((await allowed(() => attempts[count](address, somewhere()))).times).toBe(5);
      const home = somewhere();
      expect((await allowed(() => attempts[count](home, ann))).times).toBe(3);
      for (let i = 0; i < 30; i += 1) await attempts[count](somewhere(), ann);
      await attempts.count(somewhere(), ann); // Sign-ins are counted separately.
    },
  );

  it("to have emails sent are counted per receiver and per requesting account", async () => {
    const attempts = attemptLimits({ redis: await connected(), ...limits });
    const [ann, bob] = [somewhere(), somewhere()];
    expect((await allowed(() => attempts.countMail(ann, somewhere()))).times).toBe(2);
    expect((await allowed(() => attempts.countMail(somewhere(), bob))).times).toBe(2);
    expect(await attempts.mayNotify(ann)).toBe(false);
    expect(await attempts.mayNotify(bob)).toBe(true);
  });

  it("to refresh one session are counted over all addresses", async () => {
    const attempts = attemptLimits({ redis: await connected(), ...limits });
    const session = somewhere();
    expect((await allowed(() => attempts.countRefresh(somewhere(), session))).times).toBe(2);
  });

  it("from one IPv6 network are counted as one address", async () => {
    const attempts = attemptLimits({ redis: await connected(), ...limits });
    const net = `2001:db8:${crypto.randomUUID().slice(0, 4)}:${crypto.randomUUID().slice(0, 4)}`;
    let host = 0;
    const next = () => attempts.count(`${net}:1:2:3:${(host += 1).toString(16)}`, somewhere());
    expect((await allowed(next)).times).toBe(5);
  });

  it("are refused with the time until the next attempt", async () => {
    const attempts = attemptLimits({ redis: await connected(), ...limits });
    const [address, ann] = [somewhere(), somewhere()];
    const { error } = await allowed(() => attempts.count(address, ann));
    expect(error).toBeInstanceOf(DomainError);
    expect(error.reason).toBe("TOO_MANY_ATTEMPTS");
    expect(error.details.retryAfterMs).toBeGreaterThan(50_000);
    expect(error.details.retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it("are counted across all instances", async () => {
    const instances = await Promise.all(
      Array.from({ length: 3 }, async () => attemptLimits({ redis: await connected(), ...limits })),
    );
    const [address, ann] = [somewhere(), somewhere()];
    for (const each of instances) await each.count(address, ann);
    for (const each of instances) await expect(each.count(address, ann)).rejects.toThrow();
  });

  it("stay limited when many are concurrent", async () => {
    const attempts = attemptLimits({ redis: await connected(), ...limits });
    const [address, ann] = [somewhere(), somewhere()];
    const rush = Array.from({ length: 50 }, () => attempts.count(address, ann));
    const through = (await Promise.allSettled(rush)).filter(({ status }) => status === "fulfilled");
    expect(through).toHaveLength(3);
  });

  it("leave no address and no account in Redis", async () => {
    const redis = await connected();
    const attempts = attemptLimits({ redis, ...limits });
    const account = `${somewhere()}@example.com`;
    await attempts.count(somewhere(), account);
    for (const key of await redis.keys("attempts:*")) expect(key).not.toContain(account);
  });

  it("expire in Redis after the window", async () => {
    const redis = await connected();
    const attempts = attemptLimits({ redis, ...limits });
    const address = somewhere();
    await attempts.count(address);
    const ttl = await redis.ttl(`attempts:address:${address}`);
    expect(ttl).toBeGreaterThan(50);
    expect(ttl).toBeLessThanOrEqual(60);
  });
});

describe("without Redis", () => {
  /** Attempts are counted in this process without a delay. */
  async function countsAlone(attempts: AttemptLimits): Promise<void> {
    const [address, ann] = [somewhere(), somewhere()];
    const begun = performance.now();
    expect((await allowed(() => attempts.count(address, ann))).times).toBe(3);
    await attempts.recordSuccess(address, ann);
    expect((await allowed(() => attempts.count(address, ann))).times).toBe(1); // The fifth one from this address.
    expect(performance.now() - begun).toBeLessThan(15_000);
  }

  it("each instance counts alone: it was never there", async () => {
    const redis = createClient({ url: "redis://127.0.0.1:1", disableOfflineQueue: true });
    redis.on("error", () => undefined);
    void redis.connect().catch(() => undefined);
    onTestFinished(() => redis.destroy());
    await countsAlone(attemptLimits({ redis: redis as RedisClientType, ...limits }));
  });

  it("each instance counts alone until Redis is back", async () => {
    const url = new URL(redisUrl);
    const line = await testProxy(Number(url.port));
    url.port = String(line.port);
    const redis = await connected(url.href);
    const attempts = attemptLimits({ redis, ...limits });
    const [address, ann] = [somewhere(), somewhere()];
    await attempts.count(address, ann);
    line.cut();
    await countsAlone(attempts);
    line.mend();
    await eventually(() => redis.isReady, "Redis to be back");
    expect((await allowed(() => attempts.count(address, ann))).times).toBe(2);
  });

  it("each instance counts alone: Redis is frozen", async () => {
    const real = new URL(redisUrl);
    let frozen = false;
    const sockets = new Set<Socket>();
    const server = createServer((from) => {
      const to = connect(Number(real.port), "127.0.0.1");
      sockets.add(from).add(to);
      from.on("data", (data) => frozen || to.write(data));
      to.on("data", (data) => from.write(data));
      for (const socket of [from, to]) socket.on("error", () => undefined);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const url = new URL(redisUrl);
    url.port = String((server.address() as AddressInfo).port);
    const attempts = attemptLimits({ redis: await connected(url.href), ...limits });
    frozen = true;
    await countsAlone(attempts);
  });
});
