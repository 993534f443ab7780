import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import {
  AuthService,
  TokenDelivery,
  type TokensSchema,
} from "@ticketing/proto/auth/v1/auth_service";
import { addressOf } from "#runtime/client-network.ts";
import { caller, callerIfAny } from "#runtime/auth.ts";
import { update } from "#runtime/aggregate.ts";
import { DomainError } from "#runtime/errors.ts";
import { duplicateOf } from "#runtime/mongo.ts";
import { setPassword } from "./account.ts";
import { standingNow } from "./ban.ts";
import type { Attempts } from "./attempts.ts";
import { deviceOf } from "./device.ts";
import type { SessionCookies } from "./cookies.ts";
import type { SigningKeys } from "./keys.ts";
import { hashPassword, isPassword, isWeak, mustBeGood } from "./password.ts";
import { placeOf } from "./place.ts";
import type { Post } from "./post.ts";
import {
  toProto as toSession,
  type OpenSession,
  type Origin,
  type SessionKeeper,
} from "./session.ts";
import { emailKey, emailTaken, enrol, toProto, type UserFields, type Users } from "./user.ts";

interface Deps {
  users: Users;
  sessions: SessionKeeper;
  keys: SigningKeys;
  cookies: SessionCookies;
  attempts: Attempts;
  post: Post;
}

const originOf = (ctx: HandlerContext): Origin => ({
  device: deviceOf(ctx.requestHeader.get("user-agent") ?? ""),
  place: placeOf(addressOf(ctx.requestHeader)),
});

/** The user, a ban that is over taken off; one that lasts refuses. */
async function mustBeActive(users: Users, found: UserFields): Promise<UserFields> {
  const user = await standingNow(users, found, Date.now());
  if (user.status === "ACTIVE") return user;
  if (user.status === "BANNED") throw new DomainError("BANNED", "this account is banned");
  throw new DomainError("SESSION_ENDED", "this account is gone");
}

export function authRoutes({ users, sessions, keys, cookies, attempts, post }: Deps) {
  /** Hands a session over: in cookies to browsers, in the body to clients that asked for it. */
  async function deliver(
    user: UserFields,
    session: OpenSession,
    inBody: boolean,
    ctx: HandlerContext,
  ): Promise<{
    user: ReturnType<typeof toProto>;
    tokens?: MessageInitShape<typeof TokensSchema>;
  }> {
    const roles = user.roles.map((role) => role.toLowerCase());
    const claims = { userId: user._id, sessionId: session.id, roles };
    const { token: accessToken, expiresAt } = await keys.sign(claims);
    const { refreshToken } = session;
    if (!inBody) {
      const access = { value: accessToken, expiresAt };
      cookies.set(ctx.responseHeader, access, {
        value: refreshToken,
        expiresAt: session.expiresAt,
      });
      return { user: toProto(user) };
    }
    const accessExpiresAt = timestampFromDate(expiresAt);
    return { user: toProto(user), tokens: { accessToken, accessExpiresAt, refreshToken } };
  }

  const wantsBody = (delivery: TokenDelivery): boolean => delivery === TokenDelivery.BODY;

  return (router: ConnectRouter) =>
    router.service(AuthService, {
      async signUp({ email, password, tokenDelivery }, ctx) {
        const key = emailKey(email);
        await attempts.countSignUp(addressOf(ctx.requestHeader), key);
        mustBeGood(password, email);
        if (await users.exists({ emailKey: key })) throw emailTaken();
        const passwordHash = await hashPassword(password);
        const user = new users({ email, emailKey: key, passwordHash });
        enrol(user);
        await user.save().catch((error: unknown) => {
          throw duplicateOf(error) === "email" ? emailTaken() : error;
        });
        await post.send("welcome", email, user._id);
        await attempts.forgive(addressOf(ctx.requestHeader), key);
        const session = await sessions.begin(user._id, originOf(ctx));
        return deliver(user, session, wantsBody(tokenDelivery), ctx);
      },

      async signIn({ email, password, tokenDelivery }, ctx) {
        const key = emailKey(email);
        await attempts.count(addressOf(ctx.requestHeader), key);
        const user = await users.findOne({ emailKey: key }).select("+passwordHash");
        if (!(await isPassword(password, user?.passwordHash)) || !user) {
          throw new DomainError("WRONG_CREDENTIALS", "the email address or the password is wrong");
        }
        const active = await mustBeActive(users, user);
        await attempts.forgive(addressOf(ctx.requestHeader), key);
        if (isWeak(user.passwordHash)) {
          const passwordHash = await hashPassword(password);
          await update(users, user._id, (found) => setPassword(found, passwordHash));
        }
        const session = await sessions.begin(user._id, originOf(ctx));
        return deliver(active, session, wantsBody(tokenDelivery), ctx);
      },

      async signOut({ refreshToken }, ctx) {
        const token = refreshToken || cookies.refreshToken(ctx.requestHeader);
        const sessionId = callerIfAny(ctx)?.sessionId;
        if (token) await sessions.end(token);
        if (sessionId) await sessions.endById(sessionId);
        cookies.clear(ctx.responseHeader);
        return {};
      },

      async signOutEverywhere(_request, ctx) {
        await sessions.endAll(caller(ctx).id);
        cookies.clear(ctx.responseHeader);
        return {};
      },

      async listSessions(_request, ctx) {
        const { id, sessionId } = caller(ctx);
        const own = await sessions.list(id);
        return { sessions: own.map((session) => toSession(session, sessionId)) };
      },

      async endSession({ id }, ctx) {
        const { id: userId, sessionId } = caller(ctx);
        await sessions.endOwn(userId, id);
        if (id === sessionId) cookies.clear(ctx.responseHeader);
        return {};
      },

      async getCurrentUser(_request, ctx) {
        const { id, sessionId = "" } = callerIfAny(ctx) ?? {};
        if (id && !(await sessions.isOpen(sessionId))) return {};
        const user = id ? await users.findById(id, { outbox: 0 }).lean<UserFields>() : undefined;
        return user?.status === "ACTIVE" ? { user: toProto(user) } : {};
      },

      async refreshSession({ refreshToken }, ctx) {
        const token = refreshToken || cookies.refreshToken(ctx.requestHeader);
        await attempts.countRefresh(addressOf(ctx.requestHeader), token && sessions.idOf(token));
        if (!token) throw new DomainError("SESSION_ENDED", "there is no session; sign in");
        const session = await sessions.renew(token).catch((error: unknown) => {
          cookies.clear(ctx.responseHeader);
          throw error;
        });
        const user = await users.findById(session.userId, { outbox: 0 }).lean<UserFields>();
        if (!user) throw new DomainError("SESSION_ENDED", "this account is gone");
        return deliver(await mustBeActive(users, user), session, refreshToken !== "", ctx);
      },
    });
}
