import { toSingleLine } from "#runtime/text.ts";

/** Why a mail is written. */
export type Cause =
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

export interface Letter {
  subject: string;
  text: string;
}

const ignore = "If that was not you, you need do nothing.";
const alarm = (url: string): string =>
  `If that was not you, set a new password at once: ${url}/forgotten-password`;

/** What we write to people: short, plain, and with no more in it than they need. */
const letters: Record<Cause, (url: string, link: string) => Letter> = {
  welcome: (_url, link) => ({
    subject: "Welcome to Ticketing",
    text: `An account was made with this address.\n\nConfirm that it is yours:\n${link}\n\n${ignore}`,
  }),
  confirm: (_url, link) => ({
    subject: "Confirm your address",
    text: `Confirm that this address is yours, within a day:\n${link}\n\n${ignore}`,
  }),
  move: (_url, link) => ({
    subject: "Confirm your new address",
    text: `Somebody wants to move their account to this address. If it was you, confirm it within a day:\n${link}\n\n${ignore}`,
  }),
  moving: (url) => ({
    subject: "Your address is about to change",
    text: `Your account moves to another address once a mail sent there is answered.\n\n${alarm(url)}`,
  }),
  moved: (_url, link) => ({
    subject: "Your address was changed",
    text: `Your account has another address now, and every session has ended.\n\nIf that was not you, take the account back. This link works for a few days: it restores this address, ends every session and sets a new password:\n${link}\n\nIf that was you, you need do nothing.`,
  }),
  undone: () => ({
    subject: "Your account has its old address again",
    text: "The account that had this address has its earlier address again: the owner of that one undid the change. Every session has ended.",
  }),
  taken: (url) => ({
    subject: "You have an account already",
    text: `Somebody wanted to move their account to this address, which has one already. Nothing has changed.\n\nSign in: ${url}/sign-in`,
  }),
  reset: (_url, link) => ({
    subject: "Set a new password",
    text: `Set a new password for your account, within an hour:\n${link}\n\n${ignore}`,
  }),
  password: (url) => ({
    subject: "Your password was changed",
    text: `The password of your account was changed, and all other sessions have ended.\n\n${alarm(url)}`,
  }),
  deleted: () => ({
    subject: "Your account is deleted",
    text: "Your account is deleted, as you asked. What you sold and bought is kept without your name.",
  }),
};

/** The mail about something; `link` is what it asks to be opened, if anything. */
export const letter = (cause: Cause, url: string, link: string): Letter =>
  letters[cause](url, link);

/** Why a mail about a trade is written: to the buyer, or (`sold`, `returned`) to the seller. */
export type TradeCause = "paid" | "refused" | "refunded" | "sold" | "returned";

/** What a trade was about. */
export interface Trade {
  orderId: string;
  title: string;
  /** For people: "25.50 EUR". */
  amount: string;
}

const trades: Record<TradeCause, (trade: Trade, url: string) => Letter> = {
  paid: ({ title, amount, orderId }, url) => ({
    subject: `Your ticket: ${title}`,
    text: `You have paid ${amount}, and the ticket is yours: ${title}.\n\nYour order, with the ticket's code if it has one:\n${url}/orders/${orderId}`,
  }),
  refused: ({ title, amount, orderId }, url) => ({
    subject: `Not paid: ${title}`,
    text: `Your payment of ${amount} was refused, so the order is cancelled and nothing was taken: ${title}.\n\n${url}/orders/${orderId}`,
  }),
  refunded: ({ title, amount, orderId }, url) => ({
    subject: `Money back: ${title}`,
    text: `You get ${amount} back: ${title}. Your bank may take some days to show it.\n\n${url}/orders/${orderId}`,
  }),
  sold: ({ title, amount }, url) => ({
    subject: `Sold: ${title}`,
    text: `Your ticket was sold for ${amount}: ${title}.\n\nWhat you have earned, and when it is paid out:\n${url}/earnings`,
  }),
  returned: ({ title, amount }, url) => ({
    subject: `Money given back: ${title}`,
    text: `The buyer of your ticket got ${amount} back: ${title}. If that was all of it, the ticket is yours again, and not for sale until you relist it.\n\n${url}/earnings`,
  }),
};

/** The mail about a trade. */
export const tradeLetter = (cause: TradeCause, url: string, trade: Trade): Letter =>
  // A title is its seller's to type: it makes no lines of its own in our letter.
  trades[cause]({ ...trade, title: toSingleLine(trade.title) }, url);
