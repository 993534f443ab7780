import { formatClock } from "#lib/format/time.ts";
import type { Preferences } from "#lib/preferences.svelte.ts";
import { cardErrorMessage } from "./card-errors.ts";

type Message = string | ((metadata: Record<string, string>, preferences: Preferences) => string);

/** The time in the metadata `until`, as " until 20:05:30 CEST"; empty without one. */
function until(metadata: Record<string, string>, { locale, timeZone }: Preferences): string {
  const time = Date.parse(metadata["until"] ?? "");
  return Number.isNaN(time) ? "" : ` until ${formatClock(time, locale, timeZone)}`;
}

const accounts: Record<string, Message> = {
  ACCOUNT_HAS_CLAIMS:
    "You still have money or tickets in your account. Wait until everything is settled, or select what you give up below.",
  EMAIL_TAKEN: "An account with this email already exists. Sign in instead?",
  EMAIL_NOT_CONFIRMED: "Confirm your email address first. We can send you the link again.",
  EMAIL_CONFIRMED: "This email address is already confirmed.",
  LINK_EXPIRED: "This link has already been used or has expired. Request a new one.",
  WRONG_CREDENTIALS: "Incorrect email or password.",
  BANNED: "This account is banned and can’t use the marketplace.",
  SESSION_ENDED: "Your session has expired. Please sign in again.",
  TOO_MANY_ATTEMPTS: "Too many attempts. Wait a moment, then try again.",
};

const administrators: Record<string, Message> = {
  NOT_ALLOWED: "Only an administrator can do this.",
  USER_NOT_FOUND: "There is no such user.",
  OWN_ACCOUNT: "You can’t ban yourself.",
};

const tickets: Record<string, Message> = {
  TICKET_NOT_FOUND: "This ticket doesn’t exist.",
  NOT_THE_SELLER: "Only the seller can edit this ticket.",
  TICKET_HELD: (metadata, preferences) =>
    `Someone is buying this ticket. It is reserved${until(metadata, preferences)}, and becomes available again if they don’t pay.`,
  TICKET_SOLD: "This ticket has been sold.",
  TICKET_WITHDRAWN: "The seller has withdrawn this ticket.",
  EVENT_BEGUN: "The event has started, so this ticket can no longer be bought or paid for.",
  CHANGED_MEANWHILE:
    "This ticket has changed since you opened the page. Check the changes, then try again.",
  CODE_ALREADY_SEEN:
    "A previous buyer has seen this ticket’s code. Add a new code, or confirm that there is none.",
  CODE_NOT_FOUND: "The seller hasn’t added a code.",
  CODE_SEALED: "You’ve requested a refund, so the code can no longer be shown.",
};

const orders: Record<string, Message> = {
  OWN_TICKET: "You can’t buy your own ticket.",
  ALREADY_HOLDING: "You’re already buying this ticket.",
  TICKET_CHANGED:
    "The seller has just changed this ticket. Review the changes below before you buy it.",
  PRICE_CHANGED: "The seller has just changed the price. Check the new price before you buy.",
  TOO_MANY_OPEN_ORDERS: "You have too many open orders. Pay for one or cancel one first.",
  TOO_MANY_HOLDS: "You’ve reserved this ticket several times already. Try again later.",
  TOO_MANY_HOLDS_FROM_NETWORK:
    "Too many tickets are reserved from your network right now. Try again in a few minutes.",
  ORDER_NOT_FOUND: "This order doesn’t exist.",
  ORDER_NOT_OPEN: "This order can no longer be cancelled: it is being paid for or already paid.",
};

const payments: Record<string, Message> = {
  AMOUNT_MISMATCH: "The amount doesn’t match the order total. Check it, then pay.",
  ORDER_CANCELLED: "This order was cancelled. You haven’t been charged.",
  ORDER_EXPIRED: "The time to pay has run out. You haven’t been charged.",
  ALREADY_PAID: "This order has already been paid.",
  PAYMENT_IN_PROGRESS: "A payment for this order is already being processed.",
  PAYMENT_METHOD_REFUSED: ({ code }) =>
    `${cardErrorMessage(code)} You can try again while the ticket is reserved for you.`,
  PAYMENT_DECLINED: ({ code }) =>
    `${cardErrorMessage(code, "Your bank declined the payment.")} The order was cancelled, and you haven’t been charged.`,
  TOO_MANY_CARDS: "Too many cards have been tried. You haven’t been charged. Try again later.",
  NOTHING_TO_REFUND: "There is nothing left to refund.",
  REFUND_TOO_LATE: "The refund period is over.",
  REFUND_IN_PROGRESS: "A refund is already in progress. Refresh the page in a moment.",
  CODE_OPENED:
    "The ticket’s code has been shown, so the order can’t be refunded here. Ask the seller for a refund.",
  DISPUTED: "The bank has already disputed this payment.",
  PAYMENT_NOT_FOUND: "Nothing has been paid for this order yet.",
};

const anyService: Record<string, Message> = {
  TOO_MANY_REQUESTS: "That was a lot at once. Wait a moment, then try again.",
  OVERLOADED: "We’re very busy right now. Try again in a few seconds.",
  TOO_SLOW: "This took too long and was stopped. Try again in a few seconds.",
  REQUEST_ID_REUSED:
    "This form was already sent with different details. Check whether that went through, then send it again.",
};

/** A message for each reason that the contracts name in ErrorInfo. */
export const reasonMessages: Record<string, Message> = {
  ...accounts,
  ...administrators,
  ...tickets,
  ...orders,
  ...payments,
  ...anyService,
};
