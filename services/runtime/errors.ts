import { Code } from "@connectrpc/connect";

/** Every reason for which a call may be refused, and the code that it has on the wire. */
export const codes = {
  ACCOUNT_HAS_CLAIMS: Code.FailedPrecondition,
  ALREADY_HOLDING: Code.FailedPrecondition,
  ALREADY_PAID: Code.FailedPrecondition,
  AMOUNT_MISMATCH: Code.InvalidArgument,
  BANNED: Code.PermissionDenied,
  CHANGED_MEANWHILE: Code.Aborted,
  CODE_ALREADY_SEEN: Code.FailedPrecondition,
  CODE_NOT_FOUND: Code.NotFound,
  CODE_OPENED: Code.FailedPrecondition,
  CODE_SEALED: Code.FailedPrecondition,
  DISPUTED: Code.FailedPrecondition,
  EMAIL_CONFIRMED: Code.FailedPrecondition,
  EMAIL_NOT_CONFIRMED: Code.FailedPrecondition,
  EMAIL_TAKEN: Code.AlreadyExists,
  EVENT_BEGUN: Code.FailedPrecondition,
  LINK_EXPIRED: Code.FailedPrecondition,
  MALFORMED_REQUEST: Code.InvalidArgument,
  METHOD_NOT_ALLOWED: Code.Unimplemented,
  NOTHING_TO_REFUND: Code.FailedPrecondition,
  NOT_READY: Code.Unavailable,
  NO_SUCH_PATH: Code.Unimplemented,
  NOT_ALLOWED: Code.PermissionDenied,
  NOT_THE_SELLER: Code.PermissionDenied,
  ORDER_CANCELLED: Code.FailedPrecondition,
  ORDER_EXPIRED: Code.FailedPrecondition,
  ORDER_NOT_FOUND: Code.NotFound,
  ORDER_NOT_OPEN: Code.FailedPrecondition,
  OUTBOX_FULL: Code.Unavailable,
  OVERLOADED: Code.ResourceExhausted,
  OWN_ACCOUNT: Code.FailedPrecondition,
  OWN_TICKET: Code.FailedPrecondition,
  PAYMENT_DECLINED: Code.FailedPrecondition,
  PAYMENT_IN_PROGRESS: Code.FailedPrecondition,
  PAYMENT_METHOD_REFUSED: Code.InvalidArgument,
  PAYMENT_NOT_FOUND: Code.NotFound,
  PRICE_CHANGED: Code.FailedPrecondition,
  REFUND_IN_PROGRESS: Code.FailedPrecondition,
  REFUND_TOO_LATE: Code.FailedPrecondition,
  REQUEST_ID_REUSED: Code.InvalidArgument,
  SESSION_ENDED: Code.Unauthenticated,
  STORE_UNAVAILABLE: Code.Unavailable,
  TICKET_CHANGED: Code.FailedPrecondition,
  TICKET_HELD: Code.FailedPrecondition,
  TICKET_NOT_FOUND: Code.NotFound,
  TICKET_SOLD: Code.FailedPrecondition,
  TICKET_WITHDRAWN: Code.FailedPrecondition,
  TOO_LARGE: Code.ResourceExhausted,
  TOO_MANY_ATTEMPTS: Code.ResourceExhausted,
  TOO_MANY_CARDS: Code.ResourceExhausted,
  TOO_MANY_HOLDS: Code.ResourceExhausted,
  TOO_MANY_HOLDS_FROM_NETWORK: Code.ResourceExhausted,
  TOO_MANY_OPEN_ORDERS: Code.ResourceExhausted,
  TOO_SLOW: Code.Unavailable,
  UNAUTHENTICATED: Code.Unauthenticated,
  USER_NOT_FOUND: Code.NotFound,
  WRONG_CREDENTIALS: Code.Unauthenticated,
} as const;

export type Reason = keyof typeof codes;

interface Details {
  /** What a program needs to go on: ids, times, codes. */
  metadata?: Record<string, string>;
  /** When it makes sense to try again. */
  retryAfterMs?: number;
  /** What stands in the way, where it is several things. */
  obstacles?: readonly { type: string; subject: string; description: string }[];
}

/** A refusal in the words of the business: a reason for programs, a sentence for people. */
export class DomainError extends Error {
  override name = "DomainError";
  readonly reason: Reason;
  readonly details: Details;

  constructor(reason: Reason, message: string, details: Details = {}, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.details = details;
  }
}

/** Whether an error says no more than that there is a crowd: the same again, a moment later, may succeed. */
export const isCrowded = (error: unknown): boolean =>
  error instanceof DomainError &&
  (error.reason === "CHANGED_MEANWHILE" || error.reason === "OUTBOX_FULL");

/** One thing wrong with one field of a request; `field` is its path as the contract spells it. */
export interface FieldViolation {
  field: string;
  description: string;
  reason?: string;
}

/** A request that is wrong by itself; nothing was stored. */
export class InvalidFields extends Error {
  override name = "InvalidFields";
  readonly violations: readonly FieldViolation[];

  constructor(violations: readonly FieldViolation[]) {
    super(violations.map(({ field, description }) => `${field}: ${description}`).join("; "));
    this.violations = violations;
  }
}

/** One wrong field. */
export const invalidField = (field: string, description: string, reason?: string): InvalidFields =>
  new InvalidFields([{ field, description, ...(reason ? { reason } : {}) }]);
