import { Code } from "@connectrpc/connect";
import { defineErrors } from "#runtime/errors.ts";

/** The reasons for which payments refuses a call, beside those of every service. */
export const PaymentError = defineErrors({
  ALREADY_PAID: Code.FailedPrecondition,
  AMOUNT_MISMATCH: Code.InvalidArgument,
  CODE_OPENED: Code.FailedPrecondition,
  DISPUTED: Code.FailedPrecondition,
  EVENT_BEGUN: Code.FailedPrecondition,
  NOTHING_TO_REFUND: Code.FailedPrecondition,
  ORDER_CANCELLED: Code.FailedPrecondition,
  ORDER_EXPIRED: Code.FailedPrecondition,
  ORDER_NOT_FOUND: Code.NotFound,
  PAYMENT_DECLINED: Code.FailedPrecondition,
  PAYMENT_IN_PROGRESS: Code.FailedPrecondition,
  PAYMENT_METHOD_REFUSED: Code.InvalidArgument,
  PAYMENT_NOT_FOUND: Code.NotFound,
  REFUND_IN_PROGRESS: Code.FailedPrecondition,
  REFUND_TOO_LATE: Code.FailedPrecondition,
  TOO_MANY_CARDS: Code.ResourceExhausted,
});
