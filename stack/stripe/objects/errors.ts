/** The fields of an error, as Stripe writes them. */
export interface ErrorBody {
  type: "invalid_request_error" | "card_error" | "idempotency_error" | "api_error";
  message: string;
  code?: string;
  param?: string;
  decline_code?: string;
  charge?: string;
  payment_intent?: unknown;
  payment_method?: unknown;
}

/**
 * The effect of an error. "invalid": the request never began, so its idempotency key stays unused.
 * "refused": only the response is stored. "declined": the response and the changes are stored.
 */
export type Outcome = "invalid" | "refused" | "declined";

/** A response other than 200. */
export class StripeError extends Error {
  readonly status: number;
  readonly body: ErrorBody;
  readonly outcome: Outcome;

  constructor(status: number, body: ErrorBody, outcome: Outcome = "refused") {
    super(body.message);
    this.status = status;
    this.body = body;
    this.outcome = outcome;
  }
}

type Details = Pick<ErrorBody, "code" | "param" | "payment_intent">;

/** The parameters are malformed. */
export function invalid(message: string, details: Details = {}): StripeError {
  return new StripeError(400, { type: "invalid_request_error", message, ...details }, "invalid");
}

/** The parameters are well formed, but the request cannot be completed. */
export function refused(message: string, details: Details = {}, status = 400): StripeError {
  return new StripeError(status, { type: "invalid_request_error", message, ...details });
}

/** The object that a path (404) or a parameter (400) names does not exist. */
export function noSuch(what: string, id: string, param: string, status = 400): StripeError {
  return refused(`No such ${what}: '${id}'`, { code: "resource_missing", param }, status);
}

/** The body of an error, with the page of Stripe's documentation that explains its code. */
export function errorBody(error: ErrorBody): { error: ErrorBody & { doc_url?: string } } {
  if (!error.code) return { error };
  const page = error.code.replaceAll("_", "-");
  return { error: { ...error, doc_url: `https://stripe.com/docs/error-codes/${page}` } };
}
