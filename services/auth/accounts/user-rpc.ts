import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter } from "@connectrpc/connect";
import { UserStatus } from "@ticketing/proto/auth/v1/user";
import { UserService } from "@ticketing/proto/auth/v1/user_service";
import { update } from "#runtime/store/aggregate.ts";
import type { DomainError } from "#runtime/errors.ts";
import { invalidField } from "#runtime/errors.ts";
import { AuthError } from "../errors.ts";
import { toPage, pageSize, readPageToken } from "#runtime/store/paging.ts";
import { readSingleLine } from "#runtime/text.ts";
import { ban, toRecord, unban } from "./ban.ts";
import { caller } from "#runtime/rpc/authentication.ts";
import { callingAdministrator } from "./caller-account.ts";
import type { SessionKeeper } from "../sessions/session.ts";
import { emailKey, type User, type UserFields, type Users } from "../user.ts";

interface Deps {
  users: Users;
  sessions: SessionKeeper;
  now: () => number;
}

/** The first moment that the contract can no longer carry. */
const NEVER = new Date("+010000-01-01T00:00:00Z");

const notFound = (): DomainError => new AuthError("USER_NOT_FOUND", "there is no such user");

function toEnd(time: Timestamp | undefined, now: number): Date | undefined {
  if (!time) return undefined;
  const end = timestampDate(time);
  if (end.getTime() > now && end < NEVER) return end;
  throw invalidField("ends_at", "must lie ahead");
}

export function userRoutes({ users, sessions, now }: Deps) {
  const administrator = callingAdministrator({ users, sessions });

  async function change(id: string, how: (user: User) => boolean | void) {
    const user = await update(users, id, (found) => found.status !== "DELETED" && how(found));
    // Nothing brings back who was deleted.
    if (!user || user.status === "DELETED") throw notFound();
    // Also where nothing changed: whoever did it first may have ended in the middle.
    await sessions.endAll(id);
    return { user: toRecord(user) };
  }

  return (router: ConnectRouter) =>
    router.service(UserService, {
      async listUsers({ email, status, pageSize: asked, pageToken: token }, ctx) {
        await administrator(caller(ctx));
        const query = ["users", email, status];
        const after = readPageToken(query, token);
        const size = pageSize(asked);
        const found = await users
          .find(
            {
              ...(email && { emailKey: emailKey(email) }),
              ...(status === UserStatus.ACTIVE && { status: "ACTIVE" as const }),
              ...(status === UserStatus.BANNED && { status: "BANNED" as const }),
              ...(after && { _id: { $lt: after.id } }),
            },
            { outbox: 0 },
          )
          .sort({ _id: -1 })
          .limit(size + 1)
          .lean<UserFields[]>();
        const { page, nextPageToken } = toPage(query, size, found);
        return { users: page.map(toRecord), nextPageToken };
      },

      async banUser({ userId, reason, endsAt }, ctx) {
        const { _id: ownId } = await administrator(caller(ctx));
        if (userId === ownId) {
          throw new AuthError("OWN_ACCOUNT", "nobody can ban themselves");
        }
        const why = readSingleLine(reason, "reason", { max: 500, required: true });
        const end = toEnd(endsAt, now());
        return change(userId, (user) => ban(user, why, end, new Date(now())));
      },

      async unbanUser({ userId }, ctx) {
        await administrator(caller(ctx));
        return change(userId, (user) => unban(user, new Date(now())));
      },
    });
}
