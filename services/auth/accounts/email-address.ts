import validator from "validator";
import { invalidField } from "#runtime/errors.ts";

/**
 * One address, however it is written: compared without regard to the case of A to Z. Other scripts stay
 * as they are, so that no letter that only looks like one of these (a Kelvin sign) stands for it.
 */
export const emailKey = (email: string): string =>
  email.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/**
 * Refuses an address to which no mail can go. The contract's rule is that of browsers, which take dots
 * anywhere and hosts without a domain; this one is made for mail. Called wherever an account takes on an
 * address; look-ups take anything, and find nothing.
 */
export function mustBeAddress(email: string, field: string): void {
  if (validator.isEmail(email, { allow_utf8_local_part: false })) return;
  throw invalidField(field, "is not an email address");
}
