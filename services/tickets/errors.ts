import { Code } from "@connectrpc/connect";
import { defineErrors, type DomainError } from "#runtime/errors.ts";

/** The reasons for which tickets refuses a call, beside those of every service. */
export const TicketError = defineErrors({
  CODE_ALREADY_SEEN: Code.FailedPrecondition,
  CODE_NOT_FOUND: Code.NotFound,
  CODE_SEALED: Code.FailedPrecondition,
  NOT_THE_SELLER: Code.PermissionDenied,
  TICKET_HELD: Code.FailedPrecondition,
  TICKET_NOT_FOUND: Code.NotFound,
  TICKET_SOLD: Code.FailedPrecondition,
});

export const ticketNotFound = (): DomainError =>
  new TicketError("TICKET_NOT_FOUND", "there is no such ticket");
