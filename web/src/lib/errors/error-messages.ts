import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import { formatClock } from "#lib/format/time.ts";
import type { Preferences } from "#lib/preferences.svelte.ts";

/** A refusal of the backend in words for a person, and what a program wants to know of it. */
export interface Refusal {
  /** The HTTP status of a page that says it. */
  status: number;
  message: string;
  /** What is wrong with which field of the form, by the form's names. */
  fields: Record<string, string>;
  reason: string;
  metadata: Record<string, string>;
}

/** How long a wait the metadata `until` asks for, as " until 20:05:30 CEST". */
function until(metadata: Record<string, string>, { locale, timeZone }: Preferences): string {
  const at = Date.parse(metadata["until"] ?? "");
  return Number.isNaN(at) ? "" : ` until ${formatClock(at, locale, timeZone)}`;
}

type Words = string | ((metadata: Record<string, string>, preferences: Preferences) => string);

/** ErrorInfo reasons (the contracts name them at each method) in the storefront's words. */
const reasons: Record<string, Words> = {
  // Accounts
  ACCOUNT_HAS_CLAIMS:
    "Something is still due to you. Wait until it is settled, or tick what you give up below.",
  EMAIL_TAKEN: "There is an account with this address already. Sign in instead?",
  EMAIL_NOT_CONFIRMED: "Confirm your email address first. We can send you the mail again.",
  EMAIL_CONFIRMED: "This address is confirmed already.",
  LINK_EXPIRED: "This link has been used, or is too old. Ask for a new one.",
  WRONG_CREDENTIALS: "The email address or the password is not right.",
  BANNED: "This account may not use the marketplace.",
  SESSION_ENDED: "Your session has ended. Please sign in again.",
  TOO_MANY_ATTEMPTS: "Too many attempts. Wait a little, then try again.",
  // Administrators
  NOT_ALLOWED: "Only an administrator may do this.",
  USER_NOT_FOUND: "There is no such user.",
  OWN_ACCOUNT: "You cannot ban yourself.",
  // Tickets
  TICKET_NOT_FOUND: "There is no such ticket.",
  NOT_THE_SELLER: "Only the seller can change this ticket.",
  TICKET_HELD: (metadata, preferences) =>
    `Somebody is buying this ticket. It is held${until(metadata, preferences)}, and comes free if they do not pay.`,
  TICKET_SOLD: "This ticket is sold.",
  TICKET_WITHDRAWN: "The seller has taken this ticket off the market.",
  EVENT_BEGUN: "The event has begun: this ticket can no longer be bought or paid for.",
  CHANGED_MEANWHILE:
    "The ticket has changed since you opened this page. Check what it is now, then try again.",
  CODE_ALREADY_SEEN:
    "An earlier buyer has seen this ticket’s code. Attach a new one, or say that there is none.",
  CODE_NOT_FOUND: "The seller has not attached a code.",
  CODE_SEALED: "You have asked for your money back, so the code cannot be opened any more.",
  // Orders
  OWN_TICKET: "This is your own ticket.",
  ALREADY_HOLDING: "You are already buying this ticket.",
  TICKET_CHANGED:
    "The seller has just changed this ticket. Check what is different, then buy it as it is now.",
  PRICE_CHANGED: "The seller has just changed this ticket. Look at the price again before you buy.",
  TOO_MANY_OPEN_ORDERS: "You have too many open orders. Pay or cancel one of them first.",
  TOO_MANY_HOLDS: "You have held this ticket several times already. Try again later.",
  TOO_MANY_HOLDS_FROM_NETWORK:
    "Too many tickets are held from your network right now. Try again in a few minutes.",
  ORDER_NOT_FOUND: "There is no such order.",
  ORDER_NOT_OPEN: "This order can no longer be cancelled: its payment is under way, or done.",
  // Payments
  AMOUNT_MISMATCH: "The amount is not the order's price. Look at it again, then pay.",
  ORDER_CANCELLED: "This order is cancelled. You have not been charged.",
  ORDER_EXPIRED: "The time to pay has run out. You have not been charged.",
  ALREADY_PAID: "This order is paid already.",
  PAYMENT_IN_PROGRESS: "A payment for this order is under way already.",
  PAYMENT_METHOD_REFUSED: ({ code }) =>
    `${cardWords[code ?? ""] ?? "The card was not accepted."} You can try again while the ticket is held.`,
  PAYMENT_DECLINED: ({ code }) =>
    `${cardWords[code ?? ""] ?? "Your bank declined the payment."} The order is cancelled, and you have not been charged.`,
  TOO_MANY_CARDS: "Too many cards have been tried. Try again later. You have not been charged.",
  NOTHING_TO_REFUND: "There is nothing to give back.",
  REFUND_TOO_LATE: "It is too late to give this back.",
  REFUND_IN_PROGRESS: "Money is being given back already. Look again in a moment.",
  CODE_OPENED: "The ticket’s code has been opened, so it cannot be given back. Ask its seller.",
  DISPUTED: "The bank is asking for this money back already.",
  PAYMENT_NOT_FOUND: "Nothing has been paid for this order yet.",
  // Any of them
  OVERLOADED: "Very many people are here at this moment. Try again in a few seconds.",
  TOO_SLOW: "This took too long, and was given up. Try again in a few seconds.",
  REQUEST_ID_REUSED:
    "This form was sent before with other content. Look whether the first one went through, then send it again.",
};

/** Stripe's codes for what went wrong with a card. */
const cardWords: Record<string, string> = {
  card_declined: "Your bank declined the payment.",
  generic_decline: "Your bank declined the payment.",
  insufficient_funds: "There is not enough money on this card.",
  incorrect_cvc: "The card's security code is not right.",
  expired_card: "The card has expired.",
  incorrect_number: "The card's number is not right.",
  processing_error: "The card could not be processed.",
  authentication_required: "Your bank wants you to confirm the payment.",
  payment_intent_authentication_failure: "Your bank could not confirm that it is you.",
};

/** What to say of a card that did not work; `code` is Stripe's. */
export const cardErrorMessage = (code: string): string =>
  cardWords[code] ?? "The card was not accepted.";

const codes: Partial<Record<Code, { status: number; message?: string }>> = {
  [Code.InvalidArgument]: { status: 400, message: "Something in the form is not right." },
  [Code.OutOfRange]: { status: 400 },
  [Code.Unauthenticated]: { status: 401, message: "Please sign in." },
  [Code.PermissionDenied]: { status: 403, message: "You may not do this." },
  [Code.NotFound]: { status: 404, message: "There is nothing here." },
  [Code.AlreadyExists]: { status: 409 },
  [Code.Aborted]: { status: 409, message: "Somebody was quicker. Look again, then retry." },
  [Code.FailedPrecondition]: { status: 409, message: "This is not possible now." },
  [Code.ResourceExhausted]: {
    status: 429,
    message: "Too much at once. Wait a little, then retry.",
  },
  [Code.DeadlineExceeded]: { status: 503 },
  [Code.Unavailable]: { status: 503 },
};
/** What to say of a fault of ours. */
export const temporarilyUnavailable =
  "We cannot do this at the moment. Nothing is lost: try again in a few seconds.";

/** What to say of a form whose sender has to sign in. */
export const signInToResend =
  "You are signed out. Nothing is lost: sign in, then send what you typed again.";

/** Fields of the contracts whose name in our forms is not the same. */
const formNames: Record<string, string> = { "price.currency_code": "currency" };

/** What to say at a field, where the contract's own words ("does not match regex…") help nobody. */
const fieldWords: Record<string, string> = {
  email: "This does not look like an email address.",
  newEmail: "This does not look like an email address.",
  password: "Use 8 to 128 characters.",
  newPassword: "Use 8 to 128 characters.",
  reason: "Say why, in at most 500 characters.",
  endsAt: "The end must lie in the future.",
  title: "Say what the ticket is for, in at most 200 characters.",
  venue: "Use at most 200 characters.",
  eventTime: "The event must lie in the future, at most ten years ahead.",
  timeZone: "Choose a time zone from the list.",
  code: "Use at most 4,096 characters.",
  token: "Choose a card.",
};

/** What to say at a field for a reason that the contracts name. */
const violationWords: Record<string, string> = {
  PASSWORD_TOO_COMMON: "This password is among the first that a thief would try. Choose another.",
};

function formName(field: string): string {
  const [first = ""] = field.split(/[.[]/);
  return formNames[field] ?? first.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function fieldsOf(error: ConnectError): Record<string, string> {
  const violations = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
  return Object.fromEntries(
    violations.map(({ field, description, reason }) => {
      const name = formName(field);
      return [name, violationWords[reason] ?? fieldWords[name] ?? description];
    }),
  );
}

/** Puts a refusal into words. What is not in the tables gets the words of its code. */
export function describeError(cause: unknown, preferences: Preferences): Refusal {
  const error = ConnectError.from(cause);
  const { reason = "", metadata = {} } = error.findDetails(ErrorInfoSchema)[0] ?? {};
  const { status, message = temporarilyUnavailable } = codes[error.code] ?? { status: 500 };
  const words = reasons[reason] ?? message;
  return {
    status,
    message: typeof words === "function" ? words(metadata, preferences) : words,
    fields: fieldsOf(error),
    reason,
    metadata,
  };
}
