/** Why a mail is written. */
export type Cause =
  "welcome" | "confirm" | "move" | "moving" | "taken" | "reset" | "password" | "deleted";

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
