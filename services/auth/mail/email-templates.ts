/** Why the service writes to the owner of an address about an account. */
export type AccountEmailCause =
  | "welcome"
  | "confirm"
  | "move"
  | "moving"
  | "moved"
  | "undone"
  | "taken"
  | "reset"
  | "password"
  | "deleted";

export interface EmailContent {
  subject: string;
  text: string;
}

const ignoreNotice = "If this was not you, you can ignore this email.";
const warning = (url: string): string =>
  `If this was not you, set a new password now: ${url}/forgotten-password`;

/** A template gets the storefront's URL, and the link that the reader is to open, if there is one. */
type Template = (url: string, link: string) => EmailContent;

// The texts are short, and contain no more personal data than the reader needs.
const templates: Record<AccountEmailCause, Template> = {
  welcome: (_url, link) => ({
    subject: "Welcome to Ticketing",
    text: `Your account is ready.\n\nConfirm your email address:\n${link}\n\n${ignoreNotice}`,
  }),
  confirm: (_url, link) => ({
    subject: "Confirm your email address",
    text: `Use this link within 24 hours to confirm your email address:\n${link}\n\n${ignoreNotice}`,
  }),
  move: (_url, link) => ({
    subject: "Confirm your new email address",
    text: `Someone asked to use this address for their account. If this was you, use this link within 24 hours to confirm it:\n${link}\n\n${ignoreNotice}`,
  }),
  moving: (url) => ({
    subject: "Your email address is about to change",
    text: `Someone asked to change the email address of your account. It changes once the new address is confirmed.\n\n${warning(url)}`,
  }),
  moved: (_url, link) => ({
    subject: "Your email address was changed",
    text: `Your account now uses another email address, and all devices were signed out.\n\nIf this was not you, use this link within a few days. It restores this address, signs out all devices and sets a new password:\n${link}\n\nIf this was you, you can ignore this email.`,
  }),
  undone: () => ({
    subject: "Your email address change was undone",
    text: "The account that used this address uses its previous email address again: the owner of that address undid the change. All devices were signed out.",
  }),
  taken: (url) => ({
    subject: "You already have an account",
    text: `Someone asked to use this address for their account, but you already have one. Nothing has changed.\n\nSign in: ${url}/sign-in`,
  }),
  reset: (_url, link) => ({
    subject: "Set a new password",
    text: `Use this link within an hour to set a new password for your account:\n${link}\n\n${ignoreNotice}`,
  }),
  password: (url) => ({
    subject: "Your password was changed",
    text: `The password of your account was changed, and all other devices were signed out.\n\n${warning(url)}`,
  }),
  deleted: () => ({
    subject: "Your account is deleted",
    text: "Your account is deleted, as you asked. We keep your past orders and sales without your name.",
  }),
};

/** The email about an account; `link` is empty where the reader has nothing to open. */
export const accountEmail = (cause: AccountEmailCause, url: string, link: string): EmailContent =>
  templates[cause](url, link);
