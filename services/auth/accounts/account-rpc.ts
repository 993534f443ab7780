import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { addressOf } from "#runtime/identity/client-network.ts";
import { update } from "#runtime/store/aggregate.ts";
import { caller } from "#runtime/rpc/authentication.ts";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import type { DomainError } from "#runtime/errors.ts";
import { invalidField } from "#runtime/errors.ts";
import { AuthError } from "../errors.ts";
import { bury, confirm, setPassword } from "./credentials.ts";
import { isSameStamp } from "../security-stamp.ts";
import { mustBeAddress } from "./email-address.ts";
import type { Attempts } from "../sessions/attempt-limits.ts";
import { callerAccount } from "./caller-account.ts";
import { mustBeGivenUp, type KnownClaim } from "./claims.ts";
import type { SessionCookies } from "../sessions/cookies.ts";
import { beginMove, move, undoMove } from "./email-change.ts";
import { findFormerEmail } from "../former-email.ts";
import { exportUser } from "./export.ts";
import type { LinkTokens, LinkPurpose } from "../mail/link-tokens.ts";
import type { Mails } from "../mail/mail.ts";
import { hashPassword, isPassword, mustBeGood } from "./password.ts";
import type { MailQueue } from "../mail/mail-queue.ts";
import { toProto as toSession, type SessionKeeper } from "../sessions/session.ts";
import {
  emailKey,
  emailTaken,
  holderOf,
  isEmailTaken,
  type User,
  type UserFields,
  type Users,
} from "../user.ts";

interface Deps {
  users: Users;
  sessions: SessionKeeper;
  cookies: SessionCookies;
  attempts: Attempts;
  links: LinkTokens;
  post: MailQueue;
  posts: Mails;
  /** What is due to a user at this moment. */
  claimsOf: (userId: string) => Promise<KnownClaim[]>;
  now: () => number;
}

const wrongPassword = (): DomainError =>
  new AuthError("WRONG_CREDENTIALS", "the password is wrong");

const expired = (): DomainError =>
  new AuthError("LINK_EXPIRED", "this link is used up or too old; ask for another");

/**
 * What follows a change that is stored. It is done whoever still waits for the answer: nobody's account
 * moves, or gets another password, without the letter that says so.
 */
async function finish(work: () => Promise<void>): Promise<Record<string, never>> {
  await runWithoutDeadline(work);
  return {};
}

export function accountRoutes(deps: Deps) {
  const { users, sessions, cookies, attempts, links, post, posts, claimsOf, now } = deps;

  const account = callerAccount({ users, sessions });
  const load = (id: string) => users.findById(id).select("+passwordHash").lean<UserFields>();

  /** The caller's account, if the password is its own: each try counts as one to sign in. */
  async function owned(password: string, ctx: HandlerContext): Promise<UserFields> {
    const user = await load(caller(ctx).id);
    await attempts.count(addressOf(ctx.requestHeader), user?.emailKey);
    if (!(await isPassword(password, user?.passwordHash)) || user?.status !== "ACTIVE") {
      throw wrongPassword();
    }
    await attempts.forgive(addressOf(ctx.requestHeader), user.emailKey);
    return user;
  }

  /** Changes the account whose password was given, unless that counts no more by now. */
  async function change(checked: UserFields, how: (user: User) => void): Promise<void> {
    await update(users, checked._id, (user) => {
      if (user.status !== "ACTIVE" || !isSameStamp(user, checked)) throw wrongPassword();
      how(user);
    });
  }

  function mustAnswer(purpose: LinkPurpose, token: string, user: UserFields | null | undefined) {
    if (user?.status === "ACTIVE" && links.isValid(purpose, token, user)) return user;
    throw expired();
  }

  /** The account that a link is of, if the link is good. */
  const answered = async (purpose: LinkPurpose, token: string): Promise<UserFields> =>
    mustAnswer(purpose, token, await load(links.claimedUserId(token)));

  /** Does what a link is for. The account that is saved is the one that the link is good for. */
  async function answer(
    purpose: LinkPurpose,
    token: string,
    how: (user: User) => void,
  ): Promise<void> {
    const change = (user: User): void => {
      mustAnswer(purpose, token, user);
      how(user);
    };
    if (!(await update(users, links.claimedUserId(token), change))) throw expired();
  }

  return (router: ConnectRouter) =>
    router.service(AccountService, {
      async changePassword({ password, newPassword }, ctx) {
        const checked = await owned(password, ctx);
        const { _id: id, email } = checked;
        const { sessionId } = caller(ctx);
        mustBeGood(newPassword, email, "new_password");
        const passwordHash = await hashPassword(newPassword);
        await change(checked, (user) => setPassword(user, passwordHash, sessionId));
        return finish(async () => {
          await sessions.endAll(id, sessionId);
          await post.enqueue("password", email, id);
        });
      },

      async requestPasswordReset({ email }, ctx) {
        // No look at accounts before the answer: whether there is one is found when the mail is written.
        await attempts.countReset(addressOf(ctx.requestHeader), emailKey(email));
        if (await attempts.mayReset(emailKey(email))) await post.enqueue("reset", emailKey(email));
        return {};
      },

      async resetPassword({ token, newPassword }, ctx) {
        await attempts.count(addressOf(ctx.requestHeader));
        const { _id: id, email } = await answered("reset", token);
        mustBeGood(newPassword, email, "new_password");
        const passwordHash = await hashPassword(newPassword);
        await answer("reset", token, (user) => {
          setPassword(user, passwordHash);
          user.emailConfirmed = true; // The link went there.
        });
        return finish(async () => {
          await sessions.endAll(id);
          await post.enqueue("password", email, id);
        });
      },

      async changeEmail({ password, newEmail }, ctx) {
        mustBeAddress(newEmail, "new_email");
        const checked = await owned(password, ctx);
        const { _id: id, email, emailKey: key } = checked;
        if (emailKey(newEmail) === key) {
          throw invalidField("new_email", "is the address that the account has");
        }
        await attempts.countMail(emailKey(newEmail), key);
        // Whether it has an account is told to the new address alone.
        const other = { _id: { $ne: id }, ...holderOf(emailKey(newEmail)) };
        const holder = await users.findOne(other, { email: 1, emailKey: 1 }).lean();
        await change(checked, (user) => beginMove(user, newEmail));
        // To the address as its account has it; one that is only reserved is known by its key.
        const isHeld = holder?.emailKey === emailKey(newEmail);
        return finish(async () => {
          await post.enqueue("moving", email, id);
          await post.enqueue(holder ? "taken" : "move", isHeld ? holder.email : newEmail, id);
        });
      },

      async sendConfirmation(_request, ctx) {
        const user = await account(caller(ctx));
        if (user.emailConfirmed) {
          throw new AuthError("EMAIL_CONFIRMED", "this address is confirmed already");
        }
        await attempts.count(addressOf(ctx.requestHeader));
        await attempts.countMail(user.emailKey, user.emailKey);
        await post.enqueue("confirm", user.email, user._id);
        return {};
      },

      async confirmEmail({ token }, ctx) {
        await attempts.count(addressOf(ctx.requestHeader));
        if (links.claimedPurpose(token) !== "move") {
          await answer("confirm", token, confirm);
          return {};
        }
        let left = "";
        let canUndo = false;
        const toNewEmail = (user: User): void => {
          left = user.email;
          move(user, new Date(now()));
          canUndo = findFormerEmail(user, emailKey(left)) !== undefined;
        };
        await answer("move", token, toNewEmail).catch((error: unknown) => {
          throw isEmailTaken(error) ? emailTaken() : error;
        });
        const id = links.claimedUserId(token);
        return finish(async () => {
          await post.enqueue(canUndo ? "moved" : "undone", left, id);
          await sessions.endAll(id);
        });
      },

      async undoEmailChange({ token, newPassword }, ctx) {
        await attempts.count(addressOf(ctx.requestHeader));
        const found = await answered("undo", token);
        const { _id: id, email: left } = found;
        const email = links.formerEmailOf(token, found)?.email ?? "";
        mustBeGood(newPassword, email, "new_password");
        const passwordHash = await hashPassword(newPassword);
        await answer("undo", token, (user) => {
          const former = links.formerEmailOf(token, user);
          if (former) undoMove(user, former, passwordHash);
        });
        return finish(async () => {
          await sessions.endAll(id);
          await post.enqueue("password", email, id);
          await post.enqueue("undone", left);
        });
      },

      async exportAccount({ pageToken }, ctx) {
        const user = await account(caller(ctx));
        const { sessionId } = caller(ctx);
        const open = await sessions.list(user);
        return {
          ...(await exportUser(posts, user, pageToken)),
          sessions: open.map((session) => toSession(session, sessionId)),
          readTime: timestampFromDate(new Date(now())),
        };
      },

      async deleteAccount({ password, forfeit }, ctx) {
        const checked = await owned(password, ctx);
        const { _id: id, email } = checked;
        const due = await claimsOf(id);
        mustBeGivenUp(due, forfeit);
        const unusable = await hashPassword(crypto.randomUUID());
        await change(checked, (user) => {
          bury(user, unusable, new Date(now()));
          user.forfeited = due.map(({ id: claimId }) => claimId);
        });
        cookies.clear(ctx.responseHeader);
        return finish(async () => {
          await sessions.endAll(id);
          await post.enqueue("deleted", email);
        });
      },
    });
}
