import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "@ticketing/proto/google/rpc/error_details";

export interface RpcError {
  code: string;
  reason: string | undefined;
  metadata: Record<string, string>;
  fields: string[];
  message: string;
}

/** What a refusal says, for people and for programs. */
export function toRpcError(error: unknown): RpcError {
  const refused = ConnectError.from(error);
  const info = refused.findDetails(ErrorInfoSchema)[0];
  const bad = refused.findDetails(BadRequestSchema)[0];
  return {
    code: Code[refused.code] ?? String(refused.code),
    reason: info?.reason,
    metadata: info?.metadata ?? {},
    fields: bad?.fieldViolations.map(({ field }) => field) ?? [],
    message: refused.rawMessage,
  };
}

/** How a call is refused; a call that succeeds is the test's failure. */
export async function errorOf(call: Promise<unknown>): Promise<RpcError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => toRpcError(error),
  );
  if (!outcome) throw new Error("the call was not refused");
  return outcome;
}
