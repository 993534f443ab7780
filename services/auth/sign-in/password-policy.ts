import { dictionary } from "@zxcvbn-ts/language-common";
import { invalidField } from "#runtime/errors.ts";

const commonPasswords = new Set(
  dictionary["passwords-common"].map((password) => String(password).toLowerCase()),
);
const MIN_LENGTH = 8;
const MAX_LENGTH = 128;

/**
 * Refuses the passwords that NIST SP 800-63B asks to refuse: short ones, common ones, and the account's
 * own address. There are no composition rules.
 */
export function mustBeAcceptablePassword(
  password: string,
  email: string,
  field = "password",
): void {
  const normalized = password.normalize("NFC");
  const length = [...normalized].length;
  if (length < MIN_LENGTH || length > MAX_LENGTH) {
    throw invalidField(field, `must have ${MIN_LENGTH} to ${MAX_LENGTH} characters`);
  }
  const lowercase = normalized.toLowerCase();
  const address = email.toLowerCase();
  const isAddress = lowercase === address || lowercase === address.split("@")[0];
  if (commonPasswords.has(lowercase) || isAddress) {
    const description = "is among those that are tried first; choose another";
    throw invalidField(field, description, "PASSWORD_TOO_COMMON");
  }
}
