import { Code } from "@connectrpc/connect";

interface Details {
  /** What a program needs to continue: ids, times, codes. */
  metadata?: Record<string, string>;
  /** When to try again. */
  retryAfterMs?: number;
  /** The preconditions that failed, where there are several. */
  obstacles?: readonly { type: string; subject: string; description: string }[];
}

/**
 * A call that is refused: a reason for programs, a sentence for people, and the code that the reason has
 * on the wire. Each service defines its own reasons in its `errors.ts`, with `defineErrors`.
 */
export class DomainError extends Error {
  override name = "DomainError";
  readonly reason: string;
  readonly code: Code;
  readonly details: Details;

  constructor(
    reason: string,
    code: Code,
    message: string,
    details: Details = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.reason = reason;
    this.code = code;
    this.details = details;
  }
}

/** An error class that takes these reasons and no others; `codes` says which code each has. */
export function defineErrors<R extends string>(codes: Readonly<Record<R, Code>>) {
  return class extends DomainError {
    static readonly codes = codes;

    constructor(reason: R, message: string, details?: Details, options?: ErrorOptions) {
      super(reason, codes[reason], message, details, options);
    }
  };
}

/** The reasons for which any service may refuse a call. */
export const CallError = defineErrors({
  BANNED: Code.PermissionDenied,
  CHANGED_MEANWHILE: Code.Aborted,
  MALFORMED_REQUEST: Code.InvalidArgument,
  METHOD_NOT_ALLOWED: Code.Unimplemented,
  NOT_ALLOWED: Code.PermissionDenied,
  NOT_READY: Code.Unavailable,
  NO_SUCH_PATH: Code.Unimplemented,
  OUTBOX_FULL: Code.Unavailable,
  OVERLOADED: Code.ResourceExhausted,
  REQUEST_ID_REUSED: Code.InvalidArgument,
  STORE_UNAVAILABLE: Code.Unavailable,
  TOO_LARGE: Code.ResourceExhausted,
  TOO_SLOW: Code.Unavailable,
  UNAUTHENTICATED: Code.Unauthenticated,
});

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
