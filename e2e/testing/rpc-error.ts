import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "@ticketing/proto/google/rpc/error_details";

export interface RpcError {
  code: string;
  reason: string | undefined;
  metadata: Record<string, string>;
  fields: string[];
  message: string;
}

/** The code, the reason and the details of an error. */
export function toRpcError(error: unknown): RpcError {
  const connectError = ConnectError.from(error);
  const info = connectError.findDetails(ErrorInfoSchema)[0];
  const badRequest = connectError.findDetails(BadRequestSchema)[0];
  return {
    code: Code[connectError.code] ?? String(connectError.code),
    reason: info?.reason,
    metadata: info?.metadata ?? {},
    fields: badRequest?.fieldViolations.map(({ field }) => field) ?? [],
    message: connectError.rawMessage,
  };
}

/** The error of a call that must fail; a call that succeeds fails the test. */
export async function errorOf(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => undefined,
    (cause: unknown) => toRpcError(cause),
  );
  if (!error) throw new Error("the call succeeded");
  return error;
}
