import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
} from "@ticketing/proto/google/rpc/error_details";
import { CallError, DomainError, InvalidFields } from "../errors.ts";
import { isDatabaseFault } from "../store/database.ts";

interface Detail {
  desc: DescMessage;
  value: MessageInitShape<DescMessage>;
}

const detail = <D extends DescMessage>(desc: D, value: MessageInitShape<D>): Detail => ({
  desc,
  value: create(desc, value),
});

/** The default for `retry-after`, in seconds. */
function usualRetrySeconds({ code, reason }: DomainError): number | undefined {
  if (code === Code.Unavailable) return 1;
  // A request that is too large is not retried.
  return code === Code.ResourceExhausted && reason !== "TOO_LARGE" ? 60 : undefined;
}

/** A domain error on the wire. The retry delay is also a header, for clients that support only HTTP. */
export function toWireError(error: DomainError, cause: unknown = error): ConnectError {
  const { reason, code, message, details } = error;
  const { metadata = {}, retryAfterMs, obstacles = [] } = details;
  const told = [detail(ErrorInfoSchema, { reason, domain: "ticketing", metadata })];
  if (obstacles.length > 0) {
    const violations = obstacles.map((obstacle) => ({ ...obstacle }));
    told.push(detail(PreconditionFailureSchema, { violations }));
  }
  const header = new Headers();
  const usual = usualRetrySeconds(error);
  if (usual !== undefined) header.set("retry-after", String(usual));
  if (retryAfterMs !== undefined) {
    // The store may not know the delay. In that case it is zero.
    const ms = Math.max(0, Math.round(retryAfterMs) || 0);
    const retryDelay = { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
    told.push(detail(RetryInfoSchema, { retryDelay }));
    header.set("retry-after", String(Math.max(1, Math.ceil(ms / 1000))));
  }
  return new ConnectError(message, code, header, told, cause);
}

function invalid(error: InvalidFields): ConnectError {
  const fieldViolations = error.violations.map((violation) => ({ ...violation }));
  const told = [detail(BadRequestSchema, { fieldViolations })];
  return new ConnectError(error.message, Code.InvalidArgument, undefined, told, error);
}

/**
 * Maps an error to what the client may know. A failure of the database becomes an error that can be retried.
 * An unexpected error is returned unchanged; the server sends it as INTERNAL without details.
 */
export function toConnectError(error: unknown): unknown {
  if (error instanceof DomainError) return toWireError(error);
  if (error instanceof InvalidFields) return invalid(error);
  if (isDatabaseFault(error)) {
    const later = new CallError("STORE_UNAVAILABLE", "try again in a moment", {
      retryAfterMs: 1000,
    });
    return toWireError(later, error);
  }
  return error;
}

/** The only place that maps domain errors to errors of the protocol. */
export const domainErrors: Interceptor = (next) => async (req) => {
  try {
    return await next(req);
  } catch (error) {
    throw toConnectError(error);
  }
};
