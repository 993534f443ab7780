import { emailKey } from "../email-address.ts";
import { findFormerEmail, type UserFields, type Users } from "../user.ts";
import { accountEmail, type AccountEmailCause } from "./email-templates.ts";
import type { LinkPurpose, LinkTokens } from "./link-tokens.ts";
import type { MailFields } from "./mail.ts";
import type { Email } from "./smtp-mailer.ts";
import { tradeEmail, type TradeEmailCause } from "./trade-templates.ts";

export interface ComposerDeps {
  users: Users;
  links: LinkTokens;
  /** Whether a notice may go to an address that is not confirmed. */
  mayNotify: (emailKey: string) => Promise<boolean>;
  /** The storefront's URL, which links begin with. */
  publicUrl: string;
}

type Composed = Omit<Email, "id">;

/** The page that a link opens, and the purpose of its token. */
interface LinkKind {
  page: string;
  purpose: Exclude<LinkPurpose, "undo">;
}

const linkKinds: Partial<Record<MailFields["cause"], LinkKind>> = {
  welcome: { page: "confirm-email", purpose: "confirm" },
  confirm: { page: "confirm-email", purpose: "confirm" },
  move: { page: "confirm-email", purpose: "move" },
  reset: { page: "reset-password", purpose: "reset" },
};

/** An email with a link. Undefined where no active account can use the link any more. */
async function composeLinkEmail(
  { users, links, publicUrl }: ComposerDeps,
  { page, purpose }: LinkKind,
  { cause, to = "", userId }: MailFields,
): Promise<Composed | undefined> {
  const owner = userId ? { _id: userId } : { emailKey: emailKey(to) };
  const user = await users.findOne(owner).select("+passwordHash").lean<UserFields>();
  if (user?.status !== "ACTIVE") return undefined;
  // The account may use, or be changing to, another address by now. A link sent here would prove nothing.
  const address = (cause === "move" ? user.newEmail : user.email) ?? "";
  if (emailKey(address) !== emailKey(to)) return undefined;
  const link = `${publicUrl}/${page}?token=${links.create(purpose, user)}`;
  // The stored address, because the requested one may be spelled differently.
  return { to: address, ...accountEmail(cause as AccountEmailCause, publicUrl, link) };
}

/** A notice without a link. Unconfirmed addresses may belong to strangers, so their number is limited. */
async function composeNotice(
  { users, publicUrl, mayNotify }: ComposerDeps,
  { cause, to = "", userId, tries }: MailFields,
): Promise<Composed | undefined> {
  const user = userId ? await users.findById(userId).lean<UserFields>() : null;
  const isOwnersAddress = user?.emailConfirmed === true && user.emailKey === emailKey(to);
  // `taken` was counted when it was requested, and a retry on its first attempt.
  const isUnlimited = isOwnersAddress || cause === "taken" || tries > 0;
  if (!isUnlimited && !(await mayNotify(emailKey(to)))) return undefined;
  return { to, ...accountEmail(cause as AccountEmailCause, publicUrl, "") };
}

/** The email to a former address, with the link that restores it. */
async function composeUndoEmail(
  { users, links, publicUrl }: ComposerDeps,
  { to = "" }: MailFields,
): Promise<Composed | undefined> {
  const key = emailKey(to);
  const user = await users.findOne({ reservedEmails: key }).lean<UserFields>();
  const former = user?.status === "ACTIVE" ? findFormerEmail(user, key) : undefined;
  if (!user || !former) return undefined;
  const link = `${publicUrl}/undo-email-change?token=${links.createUndo(user, former)}`;
  return { to: former.email, ...accountEmail("moved", publicUrl, link) };
}

/** An email about a trade, to the address that its user has now. */
async function composeTradeEmail(
  { users, publicUrl }: ComposerDeps,
  { cause, userId, trade }: MailFields,
): Promise<Composed | undefined> {
  const user = trade && (await users.findById(userId).lean<UserFields>());
  if (!user || user.status === "DELETED") return undefined;
  return { to: user.email, ...tradeEmail(cause as TradeEmailCause, publicUrl, trade) };
}

/** The email to send for a stored one. Undefined where it has no receiver any more. */
export async function composeEmail(
  deps: ComposerDeps,
  mail: MailFields,
): Promise<Composed | undefined> {
  if (mail.trade) return composeTradeEmail(deps, mail);
  if (mail.cause === "moved") return composeUndoEmail(deps, mail);
  const kind = linkKinds[mail.cause];
  if (!kind) return composeNotice(deps, mail);
  const email = await composeLinkEmail(deps, kind, mail);
  // The victim of an unwanted email change requests a password reset first, at their former address.
  return email ?? (mail.cause === "reset" ? composeUndoEmail(deps, mail) : undefined);
}
