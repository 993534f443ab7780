import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { afterCursor, toPage, readPageToken } from "#runtime/store/paging.ts";
import { emailKey } from "./email-address.ts";
import type { MailFields, Mails } from "../mail/mail.ts";
import { toProto, type UserFields } from "../user.ts";

const letterToProto = (mail: MailFields) => ({
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
 * Letters to the account. That an address which somebody wants to move to has an account is its owner's
 * business alone: so the mover sees neither the letter that asks nor the one that is written instead.
 */
const lettersTo = ({ _id, email }: UserFields) => ({
  $or: [
    { userId: _id, cause: { $nin: ["move", "taken"] as const } },
    { to: { $in: [email, emailKey(email)] }, cause: { $in: ["reset", "taken"] as const } },
  ],
});

/** So many letters, with the longest of titles, are an answer that the edge lets through. */
const LETTERS_ON_A_PAGE = 500;

/** Everything that is kept of a user, but for their sessions and for what is secret. */
export async function exportUser(posts: Mails, user: UserFields, token: string) {
  const query = ["letters", user._id];
  const after = readPageToken(query, token);
  const found = await posts
    .find({
      $and: [
        lettersTo(user),
        after ? afterCursor("createTime", 1, new Date(after.key), after.id) : {},
      ],
    })
    .sort({ createTime: 1, _id: 1 })
    .limit(LETTERS_ON_A_PAGE + 1)
    .lean<MailFields[]>();
  const { page: letters, nextPageToken } = toPage(query, LETTERS_ON_A_PAGE, found, (letter) =>
    letter.createTime.getTime(),
  );
  return {
    nextPageToken,
    user: toProto(user),
    updateTime: timestampFromDate(user.updateTime),
    pendingEmail: user.newEmail ?? "",
    formerEmails: (user.formerEmails ?? []).map(({ email, undoUntil }) => ({
      email,
      undoUntil: timestampFromDate(undoUntil),
    })),
    ...(user.standingTime && { standingTime: timestampFromDate(user.standingTime) }),
    letters: letters.map(letterToProto),
  };
}
