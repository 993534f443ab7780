import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { UserStatus } from "@ticketing/proto/auth/v1/user";
import type { BanUserRequest, ListUsersRequest } from "@ticketing/proto/auth/v1/user_service";
import { invalidField } from "#runtime/errors.ts";
import { update } from "#runtime/store/aggregate.ts";
import { toPage, pageSize, readPageToken } from "#runtime/store/paging.ts";
import { readSingleLine } from "#runtime/values/text.ts";
import type { SignedInCall } from "../call.ts";
import { emailKey } from "../email-address.ts";
import { AuthError } from "../errors.ts";
import { requireAdministrator, type SessionDeps } from "../sessions/session-guard.ts";
import type { User, UserFields } from "../user.ts";
import { ban, unban } from "./ban.ts";
import { toUserRecord } from "./user-record.ts";

export interface AdministrationDeps extends SessionDeps {
  now: () => number;
}

/** The first time that the contract cannot represent. */
const END_OF_TIME = new Date("+010000-01-01T00:00:00Z");
const MAX_REASON_LENGTH = 500;

const userNotFound = (): Error => new AuthError("USER_NOT_FOUND", "there is no such user");

function readBanEnd(time: Timestamp | undefined, now: number): Date | undefined {
  if (!time) return undefined;
  const end = timestampDate(time);
  if (end.getTime() > now && end < END_OF_TIME) return end;
  throw invalidField("ends_at", "must lie ahead");
}

/** Changes the status of a user, and ends their sessions. */
async function changeStatus(
  { users, sessions }: AdministrationDeps,
  id: string,
  change: (user: User) => boolean,
) {
  const user = await update(users, id, (found) => found.status !== "DELETED" && change(found));
  if (!user || user.status === "DELETED") throw userNotFound();
  // Also where nothing changed: an earlier call may have failed between the two writes.
  await sessions.endAll(id);
  return { user: toUserRecord(user) };
}

export async function listUsers(
  deps: AdministrationDeps,
  { email, status, pageSize: requestedSize, pageToken }: ListUsersRequest,
  { caller }: SignedInCall,
) {
  await requireAdministrator(deps, caller);
  const query = ["users", email, status];
  const after = readPageToken(query, pageToken);
  const size = pageSize(requestedSize);
  const filter = {
    ...(email && { emailKey: emailKey(email) }),
    ...(status === UserStatus.ACTIVE && { status: "ACTIVE" as const }),
    ...(status === UserStatus.BANNED && { status: "BANNED" as const }),
    ...(after && { _id: { $lt: after.id } }),
  };
  const found = await deps.users
    .find(filter, { outbox: 0 })
    .sort({ _id: -1 })
    .limit(size + 1)
    .lean<UserFields[]>();
  const { page, nextPageToken } = toPage(query, size, found);
  return { users: page.map(toUserRecord), nextPageToken };
}

export async function banUser(
  deps: AdministrationDeps,
  { userId, reason, endsAt }: BanUserRequest,
  { caller }: SignedInCall,
) {
  const { _id: ownId } = await requireAdministrator(deps, caller);
  if (userId === ownId) throw new AuthError("OWN_ACCOUNT", "nobody can ban themselves");
  const why = readSingleLine(reason, "reason", { max: MAX_REASON_LENGTH, required: true });
  const end = readBanEnd(endsAt, deps.now());
  return changeStatus(deps, userId, (user) => ban(user, why, end, new Date(deps.now())));
}

export async function unbanUser(
  deps: AdministrationDeps,
  { userId }: { userId: string },
  { caller }: SignedInCall,
) {
  await requireAdministrator(deps, caller);
  return changeStatus(deps, userId, (user) => unban(user, new Date(deps.now())));
}
