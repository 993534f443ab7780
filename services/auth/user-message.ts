import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Role, UserStatus, type UserSchema } from "@ticketing/proto/auth/v1/user";
import type { UserStateSchema } from "@ticketing/proto/auth/v1/user_events";
import type { UserFields } from "./user.ts";

/** The user as they may see themselves. */
export const toUserMessage = (user: UserFields): MessageInitShape<typeof UserSchema> => ({
  id: user._id,
  email: user.email,
  roles: user.roles.map((role) => Role[role]),
  status: UserStatus[user.status],
  version: BigInt(user.version),
  createTime: timestampFromDate(user.createTime),
  emailConfirmed: user.emailConfirmed,
});

/** The user as other services may know them: without email address and name. */
export const toUserState = (user: UserFields): MessageInitShape<typeof UserStateSchema> => ({
  id: user._id,
  roles: user.roles.map((role) => Role[role]),
  status: UserStatus[user.status],
  version: BigInt(user.version),
});
