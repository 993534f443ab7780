import { catalogue } from "#marketplace/catalogue.ts";
import { parseConfig } from "#runtime/config.ts";
import { startService } from "#runtime/service.ts";
import { onSaved } from "#runtime/store/aggregate.ts";
import { connectRedis } from "#runtime/store/redis.ts";
import { claimAnswerHandler } from "./accounts/claims.ts";
import { releaseFormerEmails } from "./accounts/user-email.ts";
import { startBans, startUserRelay } from "./bans/ban-jobs.ts";
import { authConfig } from "./config.ts";
import { tradeEmailHandlers } from "./events.ts";
import { jwksRoute } from "./keys/jwks-route.ts";
import { startSigningKeys } from "./keys/signing-keys.ts";
import { tokenRules } from "./keys/token-rules.ts";
import { linkTokens } from "./mail/link-tokens.ts";
import { startMailQueue } from "./mail/mail-queue.ts";
import { openModels } from "./models.ts";
import { authRoutes } from "./rpc.ts";
import { sessionCookies } from "./sessions/session-cookies.ts";
import { startSessionStore } from "./sessions/session-store.ts";
import { configuredLimits } from "./sign-in/attempt-limits.ts";
import { trustedNetworks } from "./sign-in/trusted-networks.ts";

const config = parseConfig(authConfig, process.env);
const service = await startService("auth", config, catalogue);
const redis = await connectRedis(config.REDIS_URI, service.log);
service.onStop(() => redis.destroy());
const models = await openModels(await service.database(config.MONGODB_URI));
const { users, mails } = models;

const keys = await startSigningKeys(service, models.keys, config);
const sessions = startSessionStore(service, models.sessions, config);
const cookies = sessionCookies(config.SECURE_COOKIES);
const networks = trustedNetworks({ model: models.trustedNetworks, key: config.REFRESH_KEY });
const attempts = configuredLimits(redis, networks, config);
const links = linkTokens(config.REFRESH_KEY, Date.now);
const { mayNotify } = attempts;
const mailQueue = startMailQueue(service, { users, mails, links, mayNotify }, config);
const claims = { answers: models.claimAnswers, publish: service.publish };

await service.consume([...tradeEmailHandlers(mailQueue), claimAnswerHandler(claims.answers)]);
onSaved(users, startUserRelay(service, users, redis).enqueue);
const isBanned = await startBans(service, users);
service.every(60, "releasing former emails", () => releaseFormerEmails(users, Date.now()));

const signInDeps = { users, sessions, keys, cookies, attempts, mailQueue };
const routes = authRoutes({ ...signInDeps, links, mails, claims, now: Date.now });
const rules = tokenRules(keys, config, isBanned);
await service.serve({ routes, rules, http: jwksRoute(keys) });
await service.untilStopped();
