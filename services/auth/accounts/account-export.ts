import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ExportAccountRequest } from "@ticketing/proto/auth/v1/account_service";
import { afterCursor, toPage, readPageToken } from "#runtime/store/paging.ts";
import type { SignedInCall } from "../call.ts";
import { emailKey } from "../email-address.ts";
import type { MailFields, Mails } from "../mail/mail.ts";
import { requireSession } from "../sessions/session-guard.ts";
import { toSessionMessage } from "../sessions/session.ts";
import { toUserMessage } from "../user-message.ts";
import type { UserFields } from "../user.ts";
import type { AccountDeps } from "./verified-account.ts";

const toLetterMessage = (mail: MailFields) => ({
  id: mail._id,
  cause: mail.cause,
  email: mail.to ?? "",
  orderId: mail.trade?.orderId ?? "",
  title: mail.trade?.title ?? "",
  amount: mail.trade?.amount ?? "",
  createTime: timestampFromDate(mail.createTime),
  ...(mail.sentTime && { sentTime: timestampFromDate(mail.sentTime) }),
  ...(mail.refusedTime && { refusedTime: timestampFromDate(mail.refusedTime) }),
  refusal: mail.refusal ?? "",
});

/**
 * Matches the emails to an account. A user who requests an email change must not learn whether the new
 * address has an account, so both emails that may be sent there are left out.
 */
const emailsTo = ({ _id, email }: UserFields) => ({
  $or: [
    { userId: _id, cause: { $nin: ["move", "taken"] as const } },
    { to: { $in: [email, emailKey(email)] }, cause: { $in: ["reset", "taken"] as const } },
  ],
});

/** A page of this size fits into a response, also with the longest titles. */
const PAGE_SIZE = 500;

async function listEmails(mails: Mails, user: UserFields, pageToken: string) {
  const query = ["letters", user._id];
  const after = readPageToken(query, pageToken);
  const isAfter = after ? afterCursor("createTime", 1, new Date(after.key), after.id) : {};
  const found = await mails
    .find({ $and: [emailsTo(user), isAfter] })
    .sort({ createTime: 1, _id: 1 })
    .limit(PAGE_SIZE + 1)
    .lean<MailFields[]>();
  return toPage(query, PAGE_SIZE, found, (mail) => mail.createTime.getTime());
}

/** Everything that is stored about the caller, except secrets. */
export async function exportAccount(
  deps: AccountDeps,
  { pageToken }: ExportAccountRequest,
  { caller }: SignedInCall,
) {
  const user = await requireSession(deps, caller);
  const sessions = await deps.sessions.list(user);
  const { page, nextPageToken } = await listEmails(deps.mails, user, pageToken);
  return {
    user: toUserMessage(user),
    sessions: sessions.map((session) => toSessionMessage(session, caller.sessionId)),
    readTime: timestampFromDate(new Date(deps.now())),
    updateTime: timestampFromDate(user.updateTime),
    pendingEmail: user.newEmail ?? "",
    formerEmails: (user.formerEmails ?? []).map(({ email, undoUntil }) => ({
      email,
      undoUntil: timestampFromDate(undoUntil),
    })),
    ...(user.standingTime && { standingTime: timestampFromDate(user.standingTime) }),
    letters: page.map(toLetterMessage),
    nextPageToken,
  };
}
