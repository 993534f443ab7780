import { createHash } from "node:crypto";
import { clone, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { CallError } from "../errors.ts";

/** The part of a request that a document stores, so that a retry does not create a second document. */
export interface IdempotencyKey {
  requestId: string;
  requestHash: string;
}

/** The stored part of a request, or nothing if its client sent no `request_id`. */
export function idempotencyKey<D extends DescMessage>(
  schema: D,
  request: MessageShape<D> & { requestId: string },
): Partial<IdempotencyKey> {
  if (request.requestId === "") return {};
  const rest = clone(schema, request);
  Object.assign(rest, { requestId: "" });
  const requestHash = createHash("sha256").update(toBinary(schema, rest)).digest("base64url");
  return { requestId: request.requestId.toLowerCase(), requestHash };
}

/** Refuses a request ID that was used for another request. */
export function mustBeSameRequest(
  stored: Partial<IdempotencyKey>,
  mark: Partial<IdempotencyKey>,
): void {
  if (stored.requestHash === mark.requestHash) return;
  throw new CallError("REQUEST_ID_REUSED", "this request_id already stands for another request");
}
