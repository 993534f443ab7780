import { AuthService, TokenDelivery } from "@ticketing/proto/auth/v1/auth_service";
import type { Client } from "@connectrpc/connect";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { createClient as createRedis, type RedisClientType } from "redis";
import { afterAll, inject } from "vitest";
import { interceptors, type Routes } from "#runtime/server.ts";
import { PATIENCE_MS, recordedLog, testDatabase } from "#runtime/testing.ts";
import { attemptLimits } from "./attempts.ts";
import { sessionCookies } from "./cookies.ts";
import { signingKeys, type SigningKeys } from "./keys.ts";
import { authRoutes } from "./rpc.ts";
import { sessionKeeper, sessionModel, type SessionKeeper, type Sessions } from "./session.ts";
import { userModel, type Users } from "./user.ts";

/** A private key as a start makes one. */
export async function privateJwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: "ES256", use: "sig" };
}

export interface TestAuth {
  client: Client<typeof AuthService>;
  routes: Routes;
  users: Users;
  sessions: Sessions;
  keeper: SessionKeeper;
  keys: SigningKeys;
  redis: RedisClientType;
  lines: Record<string, unknown>[];
  /** Lets this much time pass for the sessions. */
  pass(ms: number): void;
}

interface Limits {
  perAccount?: number;
  perAddress?: number;
  secure?: boolean;
}

/** The service on a real database and a real Redis, with keys and limits of its own. */
export async function testAuth(limits: Limits = {}): Promise<TestAuth> {
  const db = await testDatabase();
  const redis = createRedis({
    url: inject("parts").redisUrl,
    disableOfflineQueue: true,
  }) as RedisClientType;
  redis.on("error", () => undefined);
  await redis.connect();
  afterAll(() => {
    if (redis.isOpen) redis.destroy();
  });
  const { log, lines } = recordedLog();
  const issuer = "ticketing";
  const audience = "ticketing";
  const set = JSON.stringify({ keys: [await privateJwk("now"), await privateJwk("next")] });
  const keys = await signingKeys(set, { issuer, audience, lifeSeconds: 300 });
  const users = userModel(db);
  const sessions = sessionModel(db);
  await Promise.all([users.init(), sessions.init()]);
  let offset = 0;
  const now = (): number => Date.now() + offset;
  const keeper = sessionKeeper({ sessions, key: crypto.randomUUID(), lifeMs: 86_400_000, now });
  const { perAccount = 1_000, perAddress = 1_000, secure = false } = limits;
  const attempts = attemptLimits({
    redis,
    perAccount,
    perAddress,
    refreshesPerAddress: 1_000,
    windowSeconds: 60,
  });
  const cookies = sessionCookies(secure);
  const routes = authRoutes({ users, sessions: keeper, keys, cookies, attempts });
  const rules = { keys: keys.check, issuer, audience };
  const router = { interceptors: interceptors(log, rules, PATIENCE_MS) };
  const client = createClient(AuthService, createRouterTransport(routes, { router }));
  const pass = (ms: number): void => void (offset += ms);
  return { client, routes, users, sessions, keeper, keys, redis, lines, pass };
}

/** Credentials of somebody new. */
export const somebody = () => ({
  email: `Somebody-${crypto.randomUUID()}@Example.com`,
  password: `correct horse ${crypto.randomUUID()}`,
});

/** Credentials that ask for the tokens in the answer. */
export const inBody = (credentials: { email: string; password: string }) => ({
  ...credentials,
  tokenDelivery: TokenDelivery.BODY,
});

/** A call from one address alone, so that limits do not meet. */
export const from = (address: string, headers: Record<string, string> = {}) => ({
  headers: { "x-forwarded-for": address, ...headers },
});
