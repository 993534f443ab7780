import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { addressOf } from "#runtime/client-network.ts";
import { update } from "#runtime/aggregate.ts";
import { caller } from "#runtime/auth.ts";
import { DomainError, invalidField } from "#runtime/errors.ts";
import { duplicateOf } from "#runtime/mongo.ts";
import { beginMove, bury, confirm, move, setPassword } from "./account.ts";
import type { Attempts } from "./attempts.ts";
import type { SessionCookies } from "./cookies.ts";
import type { LinkTokens, Purpose } from "./links.ts";
import { hashPassword, isPassword, mustBeGood } from "./password.ts";
import type { Post } from "./post.ts";
import { toProto as toSession, type SessionKeeper } from "./session.ts";
import { emailKey, emailTaken, toProto, type User, type UserFields, type Users } from "./user.ts";

interface Deps {
  users: Users;
  sessions: SessionKeeper;
  cookies: SessionCookies;
  attempts: Attempts;
  links: LinkTokens;
  post: Post;
  now: () => number;
}

const expired = (): DomainError =>
  new DomainError("LINK_EXPIRED", "this link is used up or too old; ask for another");

export function accountRoutes(deps: Deps) {
  const { users, sessions, cookies, attempts, links, post, now } = deps;

  const load = (id: string) => users.findById(id).select("+passwordHash").lean<UserFields>();

  /** The caller's account, if the password is its own: each try counts as one to sign in. */
  async function owned(password: string, ctx: HandlerContext): Promise<UserFields> {
    const user = await load(caller(ctx).id);
    await attempts.count(addressOf(ctx.requestHeader), user?.emailKey);
    if (!(await isPassword(password, user?.passwordHash)) || user?.status !== "ACTIVE") {
      throw new DomainError("WRONG_CREDENTIALS", "the password is wrong");
    }
    await attempts.forgive(addressOf(ctx.requestHeader), user.emailKey);
    return user;
  }

  /** The account that a link is of, if the link is good. */
  async function answered(purpose: Purpose, token: string): Promise<UserFields> {
    const user = await load(links.userIdOf(token));
    if (user?.status !== "ACTIVE" || !links.isGood(purpose, token, user)) throw expired();
    return user;
  }

  /** Changes the account as it was loaded, and no other state of it: a link works once. */
  async function change(loaded: UserFields, how: (user: User) => void): Promise<void> {
    await update(users, loaded._id, (user) => {
      if (user.version !== loaded.version) throw expired();
      how(user);
    });
  }

  return (router: ConnectRouter) =>
    router.service(AccountService, {
      async changePassword({ password, newPassword }, ctx) {
        const { _id: id, email } = await owned(password, ctx);
        mustBeGood(newPassword, email, "new_password");
        const passwordHash = await hashPassword(newPassword);
        await update(users, id, (user) => setPassword(user, passwordHash));
        await sessions.endAll(id, caller(ctx).sessionId);
        await post.send("password", email, id);
        return {};
      },

      async requestPasswordReset({ email }, ctx) {
        // No look at accounts before the answer: whether there is one is found when the mail is written.
        await attempts.countSignUp(addressOf(ctx.requestHeader), emailKey(email));
        await post.send("reset", email);
        return {};
      },

      async resetPassword({ token, newPassword }, ctx) {
        await attempts.count(addressOf(ctx.requestHeader));
        const loaded = await answered("reset", token);
        mustBeGood(newPassword, loaded.email, "new_password");
        const passwordHash = await hashPassword(newPassword);
        await change(loaded, (user) => {
          setPassword(user, passwordHash);
          user.emailConfirmed = true; // The link went there.
        });
        await sessions.endAll(loaded._id);
        await post.send("password", loaded.email, loaded._id);
        return {};
      },

      async changeEmail({ password, newEmail }, ctx) {
        const { _id: id, email, emailKey: key } = await owned(password, ctx);
        if (emailKey(newEmail) === key) {
          throw invalidField("new_email", "is the address that the account has");
        }
        // Whether it has an account is told to the new address alone.
        const isTaken = (await users.exists({ emailKey: emailKey(newEmail) })) !== null;
        await update(users, id, (user) => beginMove(user, newEmail));
        await post.send(isTaken ? "taken" : "move", newEmail, id);
        await post.send("moving", email, id);
        return {};
      },

      async sendConfirmation(_request, ctx) {
        const user = await load(caller(ctx).id);
        if (user?.status !== "ACTIVE") throw new DomainError("SESSION_ENDED", "sign in again");
        if (user.emailConfirmed) {
          throw new DomainError("EMAIL_CONFIRMED", "this address is confirmed already");
        }
        await attempts.countSignUp(addressOf(ctx.requestHeader), user.emailKey);
        await post.send("confirm", user.email, user._id);
        return {};
      },

      async confirmEmail({ token }, ctx) {
        await attempts.count(addressOf(ctx.requestHeader));
        if (links.purposeOf(token) !== "move") {
          await change(await answered("confirm", token), confirm);
          return {};
        }
        const loaded = await answered("move", token);
        await change(loaded, move).catch((error: unknown) => {
          throw duplicateOf(error) === "email" ? emailTaken() : error;
        });
        await sessions.endAll(loaded._id);
        return {};
      },

      async exportAccount(_request, ctx) {
        const { id, sessionId } = caller(ctx);
        const user = await users.findById(id, { outbox: 0 }).lean<UserFields>();
        if (user?.status !== "ACTIVE") throw new DomainError("SESSION_ENDED", "sign in again");
        const open = await sessions.list(id);
        return {
          user: toProto(user),
          sessions: open.map((session) => toSession(session, sessionId)),
          pendingEmail: user.newEmail ?? "",
          readTime: timestampFromDate(new Date(now())),
        };
      },

      async deleteAccount({ password }, ctx) {
        const { _id: id, email } = await owned(password, ctx);
        const unusable = await hashPassword(crypto.randomUUID());
        await update(users, id, (user) => bury(user, unusable, new Date(now())));
        await sessions.endAll(id);
        await post.send("deleted", email);
        cookies.clear(ctx.responseHeader);
        return {};
      },
    });
}
