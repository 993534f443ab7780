import { Code } from "@connectrpc/connect";

interface Details {
  /** What a program needs to continue: IDs, times and codes. */
  metadata?: Record<string, string>;
  /** When to retry. */
  retryAfterMs?: number;
  /** The failed preconditions, if there are several. */
  obstacles?: readonly { type: string; subject: string; description: string }[];
}

/**
 * A call that is refused: a reason for programs, a message for people, and the code of that reason in the
 * protocol. Each service defines its own reasons in its `errors.ts`, with `defineErrors`.
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

/** Defines an error class for exactly these reasons; `codes` maps each reason to its code. */
export function defineErrors<R extends string>(codes: Readonly<Record<R, Code>>) {
  return class extends DomainError {
    static readonly codes = codes;

    constructor(reason: R, message: string, details?: Details, options?: ErrorOptions) {
      super(reason, codes[reason], message, details, options);
    }
  };
}

/** The reasons that every service may use. */
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

/** Whether an error only reports contention: the same request may succeed a moment later. */
export const isCrowded = (error: unknown): boolean =>
  error instanceof DomainError &&
  (error.reason === "CHANGED_MEANWHILE" || error.reason === "OUTBOX_FULL");

/** A problem with one field of a request; `field` is its path in the notation of the contract. */
export interface FieldViolation {
  field: string;
  description: string;
  reason?: string;
}

/** A request that is invalid in itself. Nothing is stored. */
export class InvalidFields extends Error {
  override name = "InvalidFields";
  readonly violations: readonly FieldViolation[];

  constructor(violations: readonly FieldViolation[]) {
    super(violations.map(({ field, description }) => `${field}: ${description}`).join("; "));
    this.violations = violations;
  }
}

/** A single wrong field. */
export const invalidField = (field: string, description: string, reason?: string): InvalidFields =>
  new InvalidFields([{ field, description, ...(reason ? { reason } : {}) }]);
