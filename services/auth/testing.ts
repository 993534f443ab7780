import { createClient, createRouterTransport, type Client } from "@connectrpc/connect";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { AuthService, TokenDelivery, type Tokens } from "@ticketing/proto/auth/v1/auth_service";
import { UserService } from "@ticketing/proto/auth/v1/user_service";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { createClient as createRedis, type RedisClientType } from "redis";
import { afterAll, inject } from "vitest";
import type { Log } from "#runtime/log.ts";
import { interceptors } from "#runtime/rpc/server.ts";
import { TEST_CALL_TIMEOUT_MS } from "#runtime/testing/client.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import type { ClaimAnswers, ClaimDeps, OpenClaim } from "./accounts/claims.ts";
import { keyRotation } from "./keys/key-rotation.ts";
import { keyStore } from "./keys/key-store.ts";
import type { KeyModel } from "./keys/key.ts";
import { parsePrivateKeys } from "./keys/private-key.ts";
import { signingKeys } from "./keys/signing-keys.ts";
import { linkTokens } from "./mail/link-tokens.ts";
import { createMailQueue, type MailQueueDeps } from "./mail/mail-queue.ts";
import type { Email } from "./mail/smtp-mailer.ts";
import { openModels } from "./models.ts";
import { authRoutes } from "./rpc.ts";
import { sessionCookies } from "./sessions/session-cookies.ts";
import { sessionStore } from "./sessions/session-store.ts";
import { attemptLimits } from "./sign-in/attempt-limits.ts";
import { trustedNetworks } from "./sign-in/trusted-networks.ts";
import type { Users } from "./user.ts";

const DAY_MS = 86_400_000;
const TOKEN_SECONDS = 300;
const ISSUER = { issuer: "ticketing", audience: "ticketing" };

/** Rate limits that no test reaches by accident. */
const HIGH_LIMITS = {
  perAccount: 1_000,
  perAccountAndAddress: 1_000,
  perAddress: 100_000,
  refreshesPerAddress: 100_000,
  refreshesPerSession: 1_000,
  mailsPerAddress: 100_000,
  resetSeconds: 60,
  windowSeconds: 60,
};

interface Options extends Partial<typeof HIGH_LIMITS> {
  /** Whether cookies are `Secure`. */
  secure?: boolean;
  /** The claims of a user. */
  due?: (userId: string) => OpenClaim[];
}

export type TestAuth = Awaited<ReturnType<typeof testAuth>>;

/** A private key as a JWK, like the ones that auth generates. */
export async function privateJwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: "ES256", use: "sig" };
}

async function testRedis(): Promise<RedisClientType> {
  const redis = createRedis({
    url: inject("parts").redisUrl,
    disableOfflineQueue: true,
  }) as RedisClientType;
  redis.on("error", () => undefined);
  await redis.connect();
  afterAll(() => {
    if (redis.isOpen) redis.destroy();
  });
  return redis;
}

async function testKeys(model: KeyModel) {
  const jwks = { keys: [await privateJwk("now"), await privateJwk("next")] };
  const imported = parsePrivateKeys(JSON.stringify(jwks));
  const store = keyStore({
    model,
    sealingKey: crypto.randomUUID(),
    tokenSeconds: TOKEN_SECONDS,
  });
  const rotation = keyRotation({ store, imported });
  return signingKeys({ store, rotation, ...ISSUER, lifetimeSeconds: TOKEN_SECONDS });
}

/** A mail queue that keeps what it sends, the oldest first. */
function testMailQueue(deps: Omit<MailQueueDeps, "mailer" | "publicUrl">) {
  const sentEmails: Email[] = [];
  const mailer = {
    send: (email: Email) => Promise.resolve(void sentEmails.push(email)),
    close: () => {},
  };
  const mailQueue = createMailQueue({ ...deps, mailer, publicUrl: "http://shop.test" });
  afterAll(() => mailQueue.close());
  return { mailQueue, sentEmails };
}

/** Claim requests that are answered immediately. */
const testClaims = (answers: ClaimAnswers, due: (userId: string) => OpenClaim[]): ClaimDeps => ({
  answers,
  async publish(_schema, _subject, { requestId, userId }) {
    await answers.create({ _id: requestId, claims: due(userId), createTime: new Date() });
  },
});

function testClients(deps: Parameters<typeof authRoutes>[0], secureCookies: boolean, log: Log) {
  const routes = authRoutes(deps);
  const rules = { ...ISSUER, keys: deps.keys.getKey, secureCookies };
  const transport = createRouterTransport(routes, {
    router: { interceptors: interceptors(log, rules, TEST_CALL_TIMEOUT_MS) },
  });
  return {
    routes,
    client: createClient(AuthService, transport),
    account: createClient(AccountService, transport),
    admin: createClient(UserService, transport),
  };
}

/** The service on a real database and a real Redis, with its own keys and limits. */
export async function testAuth(options: Options = {}) {
  const { secure = false, due = () => [], ...limits } = options;
  const redis = await testRedis();
  const { log, lines } = recordedLog();
  const models = await openModels(await testDatabase("auth"));
  const { users, mails } = models;
  const keys = await testKeys(models.keys);
  let offset = 0;
  const now = (): number => Date.now() + offset;
  const key = crypto.randomUUID();
  const sessions = sessionStore({ sessions: models.sessions, key, lifetimeMs: DAY_MS, now });
  const networks = trustedNetworks({ model: models.trustedNetworks, key });
  const attempts = attemptLimits({
    ...HIGH_LIMITS,
    ...limits,
    redis,
    trustedNetworks: networks,
  });
  const links = linkTokens(key, now);
  const { mayNotify } = attempts;
  const { mailQueue, sentEmails } = testMailQueue({ mails, users, links, log, mayNotify });
  const deps = {
    users,
    sessions,
    keys,
    cookies: sessionCookies(secure),
    attempts,
    links,
    mailQueue,
    mails,
    claims: testClaims(models.claimAnswers, due),
    now,
  };
  const clients = testClients(deps, secure, log);
  return {
    ...clients,
    ...testPeople(clients.client, users),
    users,
    sessions: models.sessions,
    sessionStore: sessions,
    storedMails: mails,
    mailQueue,
    sentEmails,
    attempts,
    links,
    keys,
    redis,
    lines,
    /** Moves the clock of sessions and links. */
    pass: (ms: number): void => void (offset += ms),
    /** Resolves with the newest email to an address about something. */
    emailTo: (to: string, subject: RegExp) =>
      eventually(
        () => sentEmails.findLast((email) => email.to === to && subject.test(email.subject)),
        `an email to ${to}`,
      ),
    allSent: () =>
      eventually(async () => (await mails.countDocuments()) === 0, "all emails to be sent"),
  };
}

/** People with an account. */
function testPeople(client: Client<typeof AuthService>, users: Users) {
  /** A signed-up user, with the call options of their session. */
  async function member() {
    const credentials = somebody();
    const { user, tokens } = await client.signUp(inBody(credentials));
    if (!user || !tokens) throw new Error("no session");
    return { ...credentials, id: user.id, tokens, as: bearer(tokens) };
  }

  /** A signed-in administrator: their id, and the call options of their session. */
  async function administrator() {
    const who = inBody(somebody());
    const { user } = await client.signUp(who);
    await users.updateOne({ _id: user!.id }, { $set: { roles: ["ADMINISTRATOR"] } });
    const { tokens } = await client.signIn(who);
    return { id: user!.id, ...bearer(tokens!) };
  }

  return { member, administrator };
}

/** The call options of a session. */
export const bearer = ({ accessToken }: Pick<Tokens, "accessToken">) => ({
  headers: { authorization: `Bearer ${accessToken}` },
});

/** The token of the link in an email. */
export const tokenIn = ({ text }: { text: string }): string =>
  /token=(\S+)/.exec(text)?.[1] ?? "no token";

/** New credentials. */
export const somebody = () => ({
  email: `Somebody-${crypto.randomUUID()}@Example.com`,
  password: `correct horse ${crypto.randomUUID()}`,
});

/** Credentials of a client that wants the tokens in the response body. */
export const inBody = (credentials: { email: string; password: string }) => ({
  ...credentials,
  tokenDelivery: TokenDelivery.BODY,
});

/** The options of a call from its own client address, so that its rate limits are its own. */
export const from = (clientAddress: string, headers: Record<string, string> = {}) => ({
  headers: { "x-forwarded-for": clientAddress, ...headers },
});
