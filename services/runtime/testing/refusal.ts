import { type Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "@ticketing/proto/google/rpc/error_details";

/** A refused call, as a program receives it. */
export interface Refusal {
  code: Code;
  /** The message for people. */
  message: string;
  reason: string | undefined;
  metadata: Record<string, string>;
  /** The wrong fields, each as "path REASON". */
  violations: string[];
  retryAfterMs: number | undefined;
}

/** The error with which a call was refused. Throws if the call was not refused. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (!error) throw new Error("the call was not refused");
  const [info] = error.findDetails(ErrorInfoSchema);
  const [bad] = error.findDetails(BadRequestSchema);
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: error.code,
    message: error.rawMessage,
    reason: info?.reason,
    metadata: { ...info?.metadata },
    violations: (bad?.fieldViolations ?? []).map(({ field, reason }) =>
      `${field} ${reason}`.trim(),
    ),
    retryAfterMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
  };
}
