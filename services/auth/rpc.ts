import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import {
  AuthService,
  TokenDelivery,
  type TokensSchema,
} from "@ticketing/proto/auth/v1/auth_service";
import { addressOf } from "#runtime/identity/client-network.ts";
import { caller, callerIfAny } from "#runtime/rpc/authentication.ts";
import { update } from "#runtime/store/aggregate.ts";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { CallError, DomainError } from "#runtime/errors.ts";
import { AuthError } from "./errors.ts";
import { rehash, signOutEverywhere } from "./accounts/credentials.ts";
import { mustBeAddress } from "./accounts/email-address.ts";
import { standingNow } from "./accounts/ban.ts";
import type { Attempts } from "./sessions/attempt-limits.ts";
import { callerAccount } from "./accounts/caller-account.ts";
import { deviceOf } from "./sessions/device.ts";
import type { SessionCookies } from "./sessions/cookies.ts";
import type { SigningKeys } from "./keys/signing-keys.ts";
import { hashPassword, isPassword, isWeak, mustBeGood } from "./accounts/password.ts";
import { placeOf } from "./sessions/location.ts";
import type { MailQueue } from "./mail/mail-queue.ts";
import {
  isCurrent,
  toProto as toSession,
  type OpenSession,
  type Origin,
  type SessionKeeper,
} from "./sessions/session.ts";
import {
  emailKey,
  emailTaken,
  enrol,
  holderOf,
  isEmailTaken,
  toProto,
  type UserFields,
  type Users,
} from "./user.ts";

interface Deps {
  users: Users;
  sessions: SessionKeeper;
  keys: SigningKeys;
  cookies: SessionCookies;
  attempts: Attempts;
  post: MailQueue;
}

const originOf = (ctx: HandlerContext): Origin => ({
  device: deviceOf(ctx.requestHeader.get("user-agent") ?? ""),
  place: placeOf(addressOf(ctx.requestHeader)),
});

/** The user, a ban that is over taken off; one that lasts refuses. */
async function mustBeActive(users: Users, found: UserFields): Promise<UserFields> {
  const user = await standingNow(users, found, Date.now());
  if (user.status === "ACTIVE") return user;
  if (user.status === "BANNED") throw new CallError("BANNED", "this account is banned");
  throw new AuthError("SESSION_ENDED", "this account is gone");
}

const sessionEnded = (): DomainError =>
  new AuthError("SESSION_ENDED", "the session has ended; sign in again");

/** Whether an error says that a session is over, for good. */
const isRefusal = (error: unknown): boolean =>
  error instanceof DomainError && (error.reason === "SESSION_ENDED" || error.reason === "BANNED");

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
    const { emailConfirmed } = user;
    const claims = { userId: user._id, sessionId: session.id, roles, emailConfirmed };
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

  /** Checks a password, and begins a session; undefined where the account changed meanwhile. */
  async function open(key: string, password: string, ctx: HandlerContext) {
    const found = await users.findOne({ emailKey: key }).select("+passwordHash");
    if (!(await isPassword(password, found?.passwordHash)) || !found) {
      throw new AuthError("WRONG_CREDENTIALS", "the email address or the password is wrong");
    }
    const active = await mustBeActive(users, found);
    await attempts.forgive(addressOf(ctx.requestHeader), key);
    const { _id: id, passwordHash: hash } = found;
    if (isWeak(hash)) {
      const stronger = await hashPassword(password);
      await update(users, id, (user) => rehash(user, hash, stronger), "+passwordHash");
    }
    const session = await sessions.begin(active, originOf(ctx));
    // A reset or a ban of this moment has ended the sessions that it found; this one was not there yet.
    const user = await users.findById(id, { outbox: 0 }).lean<UserFields>();
    if (user?.status === "ACTIVE" && isCurrent(session, user)) return { user, session };
    await sessions.endById(session.id);
    return undefined;
  }

  /** The user of a session that was renewed, if they may have it still. */
  async function ownerOf(session: OpenSession): Promise<UserFields> {
    const user = await users.findById(session.userId, { outbox: 0 }).lean<UserFields>();
    if (!user) throw sessionEnded();
    const active = await mustBeActive(users, user);
    if (isCurrent(session, active)) return active;
    await sessions.endById(session.id);
    throw sessionEnded();
  }

  /** Hands over a session that was renewed, and remembers where the answer cannot arrive. */
  async function goOn(session: OpenSession, inBody: boolean, ctx: HandlerContext) {
    try {
      const answer = await deliver(await ownerOf(session), session, inBody, ctx);
      if (ctx.signal.aborted) sessions.unanswered(session); // Nobody waits for it any more.
      return answer;
    } catch (error) {
      if (!isRefusal(error)) sessions.unanswered(session);
      throw error;
    }
  }

  const account = callerAccount({ users, sessions });
  const wantsBody = (delivery: TokenDelivery): boolean => delivery === TokenDelivery.BODY;

  return (router: ConnectRouter) =>
    router.service(AuthService, {
      async signUp({ email, password, tokenDelivery }, ctx) {
        mustBeAddress(email, "email");
        const key = emailKey(email);
        await attempts.countSignUp(addressOf(ctx.requestHeader), key);
        mustBeGood(password, email);
        if (await users.exists(holderOf(key))) throw emailTaken();
        await attempts.countMail(key);
        const passwordHash = await hashPassword(password);
        const user = new users({ email, emailKey: key, passwordHash });
        enrol(user);
        await user.save().catch((error: unknown) => {
          throw isEmailTaken(error) ? emailTaken() : error;
        });
        // The account is there, so its letter is written, whoever still waits for the answer.
        return runWithoutDeadline(async () => {
          await post.enqueue("welcome", email, user._id);
          await attempts.forgive(addressOf(ctx.requestHeader), key);
          const session = await sessions.begin(user, originOf(ctx));
          return deliver(user, session, wantsBody(tokenDelivery), ctx);
        });
      },

      async signIn({ email, password, tokenDelivery }, ctx) {
        const key = emailKey(email);
        await attempts.count(addressOf(ctx.requestHeader), key);
        // Where the account changed in the middle, the password is checked against what it is now.
        const opened = (await open(key, password, ctx)) ?? (await open(key, password, ctx));
        if (!opened) throw new CallError("CHANGED_MEANWHILE", "the account keeps changing; retry");
        return deliver(opened.user, opened.session, wantsBody(tokenDelivery), ctx);
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
        const { _id: id } = await account(caller(ctx));
        await update(users, id, signOutEverywhere);
        await sessions.endAll(id);
        cookies.clear(ctx.responseHeader);
        return {};
      },

      async listSessions(_request, ctx) {
        const own = await sessions.list(await account(caller(ctx)));
        return { sessions: own.map((session) => toSession(session, caller(ctx).sessionId)) };
      },

      async endSession({ id }, ctx) {
        const { _id: userId } = await account(caller(ctx));
        await sessions.endOwn(userId, id);
        if (id === caller(ctx).sessionId) cookies.clear(ctx.responseHeader);
        return {};
      },

      async getCurrentUser(_request, ctx) {
        const { id, sessionId = "" } = callerIfAny(ctx) ?? {};
        const user = id ? await users.findById(id, { outbox: 0 }).lean<UserFields>() : undefined;
        if (user?.status !== "ACTIVE" || !(await sessions.isOpen(sessionId, user))) return {};
        return { user: toProto(user) };
      },

      async refreshSession({ refreshToken }, ctx) {
        const token = refreshToken || cookies.refreshToken(ctx.requestHeader);
        await attempts.countRefresh(addressOf(ctx.requestHeader), token && sessions.idOf(token));
        if (!token) throw sessionEnded();
        try {
          return await goOn(await sessions.renew(token), refreshToken !== "", ctx);
        } catch (error) {
          // Only a refusal of the session itself ends it in the browser; a fault of ours does not.
          if (isRefusal(error) && !refreshToken) cookies.clear(ctx.responseHeader);
          throw error;
        }
      },
    });
}
