import type { Caller } from "#runtime/identity/tokens.ts";

/** What a method needs to know about a call besides its message. */
export interface Call {
  /** The signed-in user, if there is one. */
  caller?: Caller | undefined;
  clientAddress: string;
  requestHeader: Headers;
  responseHeader: Headers;
  /** Aborts when the client stops waiting for the response. */
  signal: AbortSignal;
}

/** A call of a method that only signed-in users may call. */
export interface SignedInCall extends Call {
  caller: Caller;
}
