import { AuthService, TokenDelivery } from "@ticketing/proto/auth/v1/auth_service";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { UserService } from "@ticketing/proto/auth/v1/user_service";
import type { Client, ConnectRouter } from "@connectrpc/connect";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { createClient as createRedis, type RedisClientType } from "redis";
import { afterAll, inject } from "vitest";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { interceptors, type Routes } from "#runtime/rpc/server.ts";
import { TEST_CALL_TIMEOUT_MS } from "#runtime/testing/client.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { accountRoutes } from "./accounts/account-rpc.ts";
import { attemptLimits, type Attempts } from "./sessions/attempt-limits.ts";
import type { KnownClaim } from "./accounts/claims.ts";
import { sessionCookies } from "./sessions/cookies.ts";
import { keyModel } from "./keys/key.ts";
import { keyRotation } from "./keys/key-rotation.ts";
import { keyStore } from "./keys/key-store.ts";
import { parsePrivateKeys } from "./keys/private-key.ts";
import { signingKeys, type SigningKeys } from "./keys/signing-keys.ts";
import { knownPlaces, placeModel } from "./sessions/known-networks.ts";
import { linkTokens, type LinkTokens } from "./mail/link-tokens.ts";
import type { Email } from "./mail/smtp-mailer.ts";
import { mailModel } from "./mail/mail.ts";
import { startMailQueue, type MailQueue } from "./mail/mail-queue.ts";
import { authRoutes } from "./rpc.ts";
import {
  sessionKeeper,
  sessionModel,
  type SessionKeeper,
  type Sessions,
} from "./sessions/session.ts";
import { userRoutes } from "./accounts/user-rpc.ts";
import { userModel, type Users } from "./user.ts";

/** A private key as a start makes one. */
export async function privateJwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: "ES256", use: "sig" };
}

export interface TestAuth {
  client: Client<typeof AuthService>;
  account: Client<typeof AccountService>;
  admin: Client<typeof UserService>;
  /** An administrator who is signed in: their id, and the options of their calls. */
  administrator(): Promise<{ id: string; headers: Record<string, string> }>;
  /** What was written, oldest first. */
  sentEmails: Email[];
  storedMails: ReturnType<typeof mailModel>;
  mailQueue: MailQueue;
  routes: Routes;
  users: Users;
  sessions: Sessions;
  keeper: SessionKeeper;
  attempts: Attempts;
  links: LinkTokens;
  keys: SigningKeys;
  redis: RedisClientType;
  lines: Record<string, unknown>[];
  /** Lets this much time pass for the sessions. */
  pass(ms: number): void;
}

interface Limits {
  perAccount?: number;
  perAccountAndAddress?: number;
  perAddress?: number;
  refreshesPerSession?: number;
  mailsPerAddress?: number;
  secure?: boolean;
  /** What is due to a user. */
  due?: (userId: string) => KnownClaim[];
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
  const imported = parsePrivateKeys(
    JSON.stringify({ keys: [await privateJwk("now"), await privateJwk("next")] }),
  );
  const model = keyModel(db);
  const places = placeModel(db);
  await buildIndexes(model, places);
  const sealingKey = crypto.randomUUID();
  const store = keyStore({ model, sealingKey, tokenSeconds: 300 });
  const rotation = keyRotation({ store, imported });
  const keys = await signingKeys({ store, rotation, issuer, audience, lifetimeSeconds: 300 });
  const users = userModel(db);
  const sessions = sessionModel(db);
  await buildIndexes(users, sessions);
  let offset = 0;
  const now = (): number => Date.now() + offset;
  const keeper = sessionKeeper({ sessions, key: crypto.randomUUID(), lifeMs: 86_400_000, now });
  const { perAccount = 1_000, perAccountAndAddress = 1_000, perAddress = 1_000 } = limits;
  const { refreshesPerSession = 1_000, mailsPerAddress = 1_000, secure = false } = limits;
  const { due = () => [] } = limits;
  const attempts = attemptLimits({
    redis,
    known: knownPlaces({ places, key: crypto.randomUUID() }),
    perAccount,
    perAccountAndAddress,
    perAddress,
    refreshesPerAddress: 10_000,
    refreshesPerSession,
    mailsPerAddress,
    resetSeconds: 60,
    windowSeconds: 60,
  });
  const cookies = sessionCookies(secure);
  const sentEmails: Email[] = [];
  const links = linkTokens(crypto.randomUUID(), now);
  const mailer = {
    send: (mail: Email) => Promise.resolve(void sentEmails.push(mail)),
    close: () => {},
  };
  const storedMails = mailModel(db);
  const mailQueue = startMailQueue({
    mails: storedMails,
    users,
    links,
    mailer,
    log,
    publicUrl: "http://shop.test",
    mayNotify: attempts.mayNotify,
  });
  afterAll(() => mailQueue.close());
  const deps = {
    users,
    sessions: keeper,
    keys,
    cookies,
    attempts,
    post: mailQueue,
    posts: storedMails,
  };
  const routes = (router: ConnectRouter): void => {
    authRoutes(deps)(router);
    accountRoutes({ ...deps, links, claimsOf: (id) => Promise.resolve(due(id)), now })(router);
    userRoutes({ users, sessions: keeper, now })(router);
  };
  const rules = { keys: keys.getKey, issuer, audience, secureCookies: secure };
  const router = { interceptors: interceptors(log, rules, TEST_CALL_TIMEOUT_MS) };
  const transport = createRouterTransport(routes, { router });
  const client = createClient(AuthService, transport);
  const account = createClient(AccountService, transport);
  const admin = createClient(UserService, transport);

  async function administrator() {
    const who = inBody(somebody());
    const { user } = await client.signUp(who);
    await users.updateOne({ _id: user!.id }, { $set: { roles: ["ADMINISTRATOR"] } });
    const { tokens } = await client.signIn(who);
    return { id: user!.id, headers: { authorization: `Bearer ${tokens!.accessToken}` } };
  }

  const pass = (ms: number): void => void (offset += ms);
  return {
    client,
    account,
    admin,
    administrator,
    sentEmails,
    storedMails,
    mailQueue,
    routes,
    users,
    sessions,
    keeper,
    attempts,
    links,
    keys,
    redis,
    lines,
    pass,
  };
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
