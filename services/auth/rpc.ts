import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import {
  AuthService,
  TokenDelivery,
  type TokensSchema,
} from "@ticketing/proto/auth/v1/auth_service";
import { callerIfAny, cookie, REFRESH_COOKIE } from "#runtime/auth.ts";
import { DomainError } from "#runtime/errors.ts";
import { duplicateOf } from "#runtime/mongo.ts";
import type { Attempts } from "./attempts.ts";
import type { SessionCookies } from "./cookies.ts";
import type { SigningKeys } from "./keys.ts";
import { hashPassword, isPassword } from "./password.ts";
import type { OpenSession, SessionKeeper } from "./session.ts";
import { emailKey, enrol, toProto, type UserFields, type Users } from "./user.ts";

interface Deps {
  users: Users;
  sessions: SessionKeeper;
  keys: SigningKeys;
  cookies: SessionCookies;
  attempts: Attempts;
}

/** The edge writes exactly one address there; a call that did not come through it has none. */
const addressOf = ({ requestHeader }: HandlerContext): string =>
  requestHeader.get("x-forwarded-for") ?? "direct";

const emailTaken = (): DomainError =>
  new DomainError("EMAIL_TAKEN", "there is an account with this email address already");

function mustBeActive({ status }: UserFields): void {
  if (status === "BANNED") throw new DomainError("BANNED", "this account is banned");
}

export function authRoutes({ users, sessions, keys, cookies, attempts }: Deps) {
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
        await attempts.count(addressOf(ctx));
        const key = emailKey(email);
        if (await users.exists({ emailKey: key })) throw emailTaken();
        const passwordHash = await hashPassword(password);
        const user = new users({ email, emailKey: key, passwordHash });
        enrol(user);
        await user.save().catch((error: unknown) => {
          throw duplicateOf(error) === "email" ? emailTaken() : error;
        });
        return deliver(user, await sessions.begin(user._id), wantsBody(tokenDelivery), ctx);
      },

      async signIn({ email, password, tokenDelivery }, ctx) {
        const key = emailKey(email);
        await attempts.count(addressOf(ctx), key);
        const user = await users.findOne({ emailKey: key }).select("+passwordHash");
        if (!(await isPassword(password, user?.passwordHash)) || !user) {
          throw new DomainError("WRONG_CREDENTIALS", "the email address or the password is wrong");
        }
        mustBeActive(user);
        await attempts.forgive(addressOf(ctx), key);
        return deliver(user, await sessions.begin(user._id), wantsBody(tokenDelivery), ctx);
      },

      async signOut({ refreshToken }, ctx) {
        const token = refreshToken || cookie(ctx.requestHeader, REFRESH_COOKIE);
        const sessionId = callerIfAny(ctx)?.sessionId;
        if (token) await sessions.end(token);
        if (sessionId) await sessions.endById(sessionId);
        cookies.clear(ctx.responseHeader);
        return {};
      },

      async getCurrentUser(_request, ctx) {
        const id = callerIfAny(ctx)?.id;
        const user = id ? await users.findById(id, { outbox: 0 }).lean<UserFields>() : undefined;
        return user?.status === "ACTIVE" ? { user: toProto(user) } : {};
      },

      async refreshSession({ refreshToken }, ctx) {
        await attempts.countRefresh(addressOf(ctx));
        const token = refreshToken || cookie(ctx.requestHeader, REFRESH_COOKIE);
        if (!token) throw new DomainError("SESSION_ENDED", "there is no session; sign in");
        const session = await sessions.renew(token).catch((error: unknown) => {
          cookies.clear(ctx.responseHeader);
          throw error;
        });
        const user = await users.findById(session.userId, { outbox: 0 }).lean<UserFields>();
        if (!user) throw new DomainError("SESSION_ENDED", "this account is gone");
        mustBeActive(user);
        return deliver(user, session, refreshToken !== "", ctx);
      },
    });
}
