import { catalogue } from "#catalogue";
import { parseConfig } from "#runtime/config.ts";
import { sendJson } from "#runtime/http.ts";
import { connectRedis } from "#runtime/redis.ts";
import { startService } from "#runtime/service.ts";
import { attemptLimits } from "./attempts.ts";
import { authConfig } from "./config.ts";
import { sessionCookies } from "./cookies.ts";
import { signingKeys } from "./keys.ts";
import { authRoutes } from "./rpc.ts";
import { sessionKeeper, sessionModel } from "./session.ts";
import { userModel } from "./user.ts";

const config = parseConfig(authConfig, process.env);
const { TOKEN_ISSUER: issuer, TOKEN_AUDIENCE: audience } = config;
const keys = await signingKeys(config.SIGNING_KEYS, {
  issuer,
  audience,
  lifeSeconds: config.ACCESS_TOKEN_SECONDS,
});
const service = await startService("auth", config, catalogue);
const db = await service.database(config.MONGODB_URI);
const redis = await connectRedis(config.REDIS_URI, service.log);
service.onStop(() => redis.destroy());
const users = userModel(db);
const sessions = sessionModel(db);
await Promise.all([users.init(), sessions.init()]); // Nothing serves before its indexes stand.

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
    perAccount: config.ATTEMPTS_PER_ACCOUNT,
    perAddress: config.ATTEMPTS_PER_ADDRESS,
    refreshesPerAddress: config.REFRESHES_PER_ADDRESS,
    windowSeconds: config.ATTEMPTS_WINDOW_SECONDS,
  }),
};

service.relay(users);
await service.serve({
  routes: authRoutes(deps),
  rules: { keys: keys.check, issuer, audience },
  http: { "GET /.well-known/jwks.json": (_req, res) => sendJson(res, 200, keys.published) },
});
await service.untilStopped();
