import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { UserRecordSchema } from "@ticketing/proto/auth/v1/user_service";
import { toUserMessage } from "../user-message.ts";
import type { UserFields } from "../user.ts";

/** The user as administrators see them. */
export function toUserRecord(user: UserFields): MessageInitShape<typeof UserRecordSchema> {
  const { ban } = user;
  if (!ban) return { user: toUserMessage(user) };
  return {
    user: toUserMessage(user),
    banReason: ban.reason,
    banTime: timestampFromDate(ban.time),
    ...(ban.endsAt && { banEndsAt: timestampFromDate(ban.endsAt) }),
  };
}
