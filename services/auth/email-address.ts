import validator from "validator";
import { invalidField } from "#runtime/errors.ts";

/**
 * The form in which email addresses are compared: without regard to the case of A to Z. Other letters stay
 * unchanged, so that none of them is taken for a look-alike (a Kelvin sign for a K).
 */
export const emailKey = (email: string): string =>
  email.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/**
 * Refuses an address that cannot receive email. The contract's rule is the one of browsers, which allows
 * dots anywhere and hosts without a domain. Every method that stores an address calls this; look-ups accept
 * anything, and find nothing.
 */
export function mustBeEmailAddress(email: string, field: string): void {
  if (validator.isEmail(email, { allow_utf8_local_part: false })) return;
  throw invalidField(field, "is not an email address");
}
