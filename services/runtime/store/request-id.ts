import { createHash } from "node:crypto";
import { clone, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { CallError } from "../errors.ts";

/** What a document keeps of the request that made it, so that a retry makes no second one. */
export interface IdempotencyKey {
  requestId: string;
  requestHash: string;
}

/** The mark of a request, or nothing where its client sent no `request_id`. */
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

/** Refuses a request id that already stands for another request. */
export function mustBeSameRequest(
  stored: Partial<IdempotencyKey>,
  mark: Partial<IdempotencyKey>,
): void {
  if (stored.requestHash === mark.requestHash) return;
  throw new CallError("REQUEST_ID_REUSED", "this request_id already stands for another request");
}
