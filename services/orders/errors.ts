import { Code } from "@connectrpc/connect";
import { defineErrors } from "#runtime/errors.ts";

/** The reasons for which orders refuses a call, beside those of every service. */
export const OrderError = defineErrors({
  ALREADY_HOLDING: Code.FailedPrecondition,
  EMAIL_NOT_CONFIRMED: Code.FailedPrecondition,
  EVENT_BEGUN: Code.FailedPrecondition,
  ORDER_NOT_FOUND: Code.NotFound,
  ORDER_NOT_OPEN: Code.FailedPrecondition,
  OWN_TICKET: Code.FailedPrecondition,
  PRICE_CHANGED: Code.FailedPrecondition,
  TICKET_CHANGED: Code.FailedPrecondition,
  TICKET_HELD: Code.FailedPrecondition,
  TICKET_NOT_FOUND: Code.NotFound,
  TICKET_SOLD: Code.FailedPrecondition,
  TICKET_WITHDRAWN: Code.FailedPrecondition,
  TOO_MANY_HOLDS: Code.ResourceExhausted,
  TOO_MANY_HOLDS_FROM_NETWORK: Code.ResourceExhausted,
  TOO_MANY_OPEN_ORDERS: Code.ResourceExhausted,
});
