import type { ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "@ticketing/proto/web-google/rpc/error_details";

/** Fields of the contracts that have another name in our forms. */
const formNames: Record<string, string> = { "price.currency_code": "currency" };

/** A message for each field. The contract's own ("does not match regex…") would not help a person. */
const messages: Record<string, string> = {
  email: "Enter a valid email address.",
  newEmail: "Enter a valid email address.",
  password: "Use 8 to 128 characters.",
  newPassword: "Use 8 to 128 characters.",
  reason: "Enter a reason of at most 500 characters.",
  endsAt: "Choose a time in the future.",
  title: "Enter an event name of at most 200 characters.",
  venue: "Use at most 200 characters.",
  eventTime: "Choose a date in the future, at most ten years ahead.",
  timeZone: "Choose a time zone from the list.",
  code: "Use at most 4,096 characters.",
  token: "Choose a card.",
};

/** Messages for the violations whose reason the contracts name. */
const reasonMessages: Record<string, string> = {
  PASSWORD_TOO_COMMON: "This password is too common. Choose one that is harder to guess.",
};

function formName(field: string): string {
  const [first = ""] = field.split(/[.[]/);
  return formNames[field] ?? first.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** A message for each field that the error names, by the field's name in the form. */
export function fieldErrors(error: ConnectError): Record<string, string> {
  const violations = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
  return Object.fromEntries(
    violations.map(({ field, description, reason }) => {
      const name = formName(field);
      return [name, reasonMessages[reason] ?? messages[name] ?? description];
    }),
  );
}
