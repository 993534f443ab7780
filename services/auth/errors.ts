import { Code } from "@connectrpc/connect";
import { defineErrors } from "#runtime/errors.ts";

/** The reasons for which auth refuses a call, besides those of every service. */
export const AuthError = defineErrors({
  ACCOUNT_HAS_CLAIMS: Code.FailedPrecondition,
  EMAIL_CONFIRMED: Code.FailedPrecondition,
  EMAIL_TAKEN: Code.AlreadyExists,
  LINK_EXPIRED: Code.FailedPrecondition,
  OWN_ACCOUNT: Code.FailedPrecondition,
  SESSION_ENDED: Code.Unauthenticated,
  TOO_MANY_ATTEMPTS: Code.ResourceExhausted,
  USER_NOT_FOUND: Code.NotFound,
  WRONG_CREDENTIALS: Code.Unauthenticated,
});
