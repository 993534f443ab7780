import { isOf } from "./accounts/email-change.ts";
import type { FormerEmail, UserFields } from "./user.ts";

/** A former address that can still be put back. */
export const findFormerEmail = (user: UserFields, key: string): FormerEmail | undefined =>
  user.formerEmails?.find(isOf(key));
