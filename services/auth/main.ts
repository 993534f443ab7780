import { ClaimsRequestedSchema } from "@ticketing/proto/auth/v1/user_events";
import { banEvents, catalogue } from "#marketplace/catalogue.ts";
import { parseConfig } from "#runtime/config.ts";
import { sendJson } from "#runtime/http.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { connectRedis } from "#runtime/store/redis.ts";
import { startService } from "#runtime/service.ts";
import { accountRoutes } from "./accounts/account-rpc.ts";
import { attemptLimits } from "./sessions/attempt-limits.ts";
import { endBans, recentBans } from "./accounts/ban.ts";
import { claimDesk, claimModel } from "./accounts/claims.ts";
import { authConfig } from "./config.ts";
import { sessionCookies } from "./sessions/cookies.ts";
import { forgetFormerEmails } from "./accounts/email-change.ts";
import { tradeEmailHandlers } from "./events.ts";
import { keyModel } from "./keys/key.ts";
import { startSigningKeys } from "./keys/signing-keys.ts";
import { knownPlaces, placeModel } from "./sessions/known-networks.ts";
import { linkTokens } from "./mail/link-tokens.ts";
import { smtpMailer } from "./mail/smtp-mailer.ts";
import { mailModel } from "./mail/mail.ts";
import { startMailQueue } from "./mail/mail-queue.ts";
import { authRoutes } from "./rpc.ts";
import { sessionKeeper, sessionModel } from "./sessions/session.ts";
import { snapshotKeeper } from "./accounts/ban-snapshot.ts";
import { userRoutes } from "./accounts/user-rpc.ts";
import { userModel } from "./user.ts";

const config = parseConfig(authConfig, process.env);
const { TOKEN_ISSUER: issuer, TOKEN_AUDIENCE: audience } = config;
const service = await startService("auth", config, catalogue);
const db = await service.database(config.MONGODB_URI);
const redis = await connectRedis(config.REDIS_URI, service.log);
service.onStop(() => redis.destroy());
const users = userModel(db);
const sessions = sessionModel(db);
const places = placeModel(db);
const posts = mailModel(db);
const answers = claimModel(db);
const model = keyModel(db);
// Nothing serves before its indexes stand.
await buildIndexes(users, sessions, places, posts, answers, model);

const keys = await startSigningKeys(service, model, config);

const deps = {
  users,
  sessions: sessionKeeper({
    sessions,
    key: config.REFRESH_KEY,
    lifeMs: config.SESSION_DAYS * 86_400_000,
    now: Date.now,
  }),
  keys,
  cookies: sessionCookies(config.SECURE_COOKIES),
  attempts: attemptLimits({
    redis,
    known: knownPlaces({ places, key: config.REFRESH_KEY }),
    perAccount: config.ATTEMPTS_PER_ACCOUNT,
    perAccountAndAddress: config.ATTEMPTS_PER_ACCOUNT_AND_ADDRESS,
    perAddress: config.ATTEMPTS_PER_ADDRESS,
    refreshesPerAddress: config.REFRESHES_PER_ADDRESS,
    refreshesPerSession: config.REFRESHES_PER_SESSION,
    mailsPerAddress: config.MAILS_PER_ADDRESS,
    resetSeconds: config.RESET_MAIL_SECONDS,
    windowSeconds: config.ATTEMPTS_WINDOW_SECONDS,
  }),
};

const links = linkTokens(config.REFRESH_KEY, Date.now);
const post = startMailQueue({
  mails: posts,
  users,
  links,
  log: service.log,
  mailer: smtpMailer(config.SMTP_URL, config.MAIL_FROM),
  mayNotify: deps.attempts.mayNotify,
  publicUrl: config.PUBLIC_URL.replace(/\/$/, ""),
});
service.onStop(() => post.close());
service.every(5, "looking for mails", () => post.sweep());

const claims = claimDesk({
  answers,
  ask: (request) => service.publish(ClaimsRequestedSchema, request.userId, request),
});
await service.consume([...tradeEmailHandlers(post), claims.handler]);

const snapshot = snapshotKeeper({ users, redis, events: banEvents, log: service.log });
service.relay(users, snapshot.before);
service.every(2, "keeping the bans in redis", snapshot.mend);
service.every(60, "forgetting old bans", snapshot.prune);
service.every(1, "remembering failed renewals", deps.sessions.settleDoubts);
service.every(60, "forgetting former addresses", () => forgetFormerEmails(users, Date.now()));
service.every(1, "ending bans", () => endBans(users, Date.now()));
const isBanned = await service.bans(() => recentBans(users, Date.now()));
const routes = [
  authRoutes({ ...deps, post }),
  accountRoutes({ ...deps, post, posts, links, claimsOf: claims.claimsOf, now: Date.now }),
  userRoutes({ users, sessions: deps.sessions, now: Date.now }),
];
// The same for everybody, and for so long as a new key is shown before it signs; half of it, to be sure.
const mayBeKept = { "cache-control": "public, max-age=60" };
await service.serve({
  routes: (router) => routes.forEach((route) => route(router)),
  rules: { keys: keys.getKey, issuer, audience, secureCookies: config.SECURE_COOKIES, isBanned },
  http: {
    "GET /.well-known/jwks.json": (_req, res) => sendJson(res, 200, keys.jwks, mayBeKept),
  },
});
await service.untilStopped();
