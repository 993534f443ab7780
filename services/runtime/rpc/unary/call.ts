import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextValues,
  type ContextValues,
  type HandlerContext,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";

const CANCEL = 8;
/** The reason of every signal whose call has ended. Node would capture a stack for each. */
const ENDED = new ConnectError("the call has ended", Code.Canceled);

interface Options {
  method: DescMethodUnary;
  protocolName: string;
  headers: IncomingHttpHeaders;
  stream: ServerHttp2Stream;
  /** The time that the client still waits, in milliseconds. */
  timeoutMs: number | undefined;
}

const reasonOf = (code: number | undefined): ConnectError =>
  code === CANCEL ? new ConnectError("the client has disconnected", Code.Canceled) : ENDED;

/**
 * One unary call: the request of the interceptors and the context of the handler. Headers and signals are
 * objects that cost more than the rest of a small call, so each is made when it is first read.
 */
export class UnaryCall implements UnaryRequest, HandlerContext {
  readonly stream = false;
  readonly method: DescMethodUnary;
  readonly protocolName: string;
  readonly contextValues: ContextValues = createContextValues();
  message!: Message;
  /** What the handler adds to the response; undefined as long as it adds nothing. */
  addedHeader: Headers | undefined;
  addedTrailer: Headers | undefined;
  readonly #headers: IncomingHttpHeaders;
  readonly #stream: ServerHttp2Stream;
  readonly #deadline: number | undefined;
  #header: Headers | undefined;
  #signal: AbortSignal | undefined;

  constructor({ method, protocolName, headers, stream, timeoutMs }: Options) {
    this.method = method;
    this.protocolName = protocolName;
    this.#headers = headers;
    this.#stream = stream;
    this.#deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get requestMethod(): string {
    return this.#headers[":method"] ?? "";
  }

  get url(): string {
    const authority = this.#headers[":authority"] ?? this.#headers.host;
    return new URL(this.#headers[":path"] ?? "", `http://${authority}`).toString();
  }

  get values(): ContextValues {
    return this.contextValues;
  }

  /** The value of one request header, without making all of them. */
  headerValue(name: string): string | null {
    const value = this.#headers[name];
    return (Array.isArray(value) ? value.join(", ") : value) ?? null;
  }

  get header(): Headers {
    return (this.#header ??= toHeaders(this.#headers));
  }

  get requestHeader(): Headers {
    return this.header;
  }

  get responseHeader(): Headers {
    return (this.addedHeader ??= new Headers());
  }

  get responseTrailer(): Headers {
    return (this.addedTrailer ??= new Headers());
  }

  /** Whether the client has disconnected or no longer waits: the state of the signal, without making one. */
  get aborted(): boolean {
    const { closed, destroyed } = this.#stream;
    return closed || destroyed || (this.timeoutMs() ?? 1) <= 0;
  }

  /** Aborted when the client has disconnected or no longer waits. */
  get signal(): AbortSignal {
    return (this.#signal ??= this.#watch());
  }

  timeoutMs = (): number | undefined =>
    this.#deadline === undefined ? undefined : this.#deadline - Date.now();

  #watch(): AbortSignal {
    const controller = new AbortController();
    const stream = this.#stream;
    const left = this.timeoutMs();
    const timer =
      left === undefined
        ? undefined
        : setTimeout(() => {
            controller.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
          }, left);
    const close = (): void => {
      clearTimeout(timer);
      controller.abort(reasonOf(stream.rstCode));
    };
    if (stream.closed || stream.destroyed) close();
    else stream.once("close", close);
    return controller.signal;
  }
}

type Request = UnaryRequest | StreamRequest;

/** Reads single headers of a request, without making all of them. */
export const headerReader = (request: Request): Pick<Headers, "get"> =>
  request instanceof UnaryCall ? { get: (name) => request.headerValue(name) } : request.header;

/** Whether the client of a request has disconnected, by the time that this is read. */
export const abortState = (request: Request): Pick<AbortSignal, "aborted"> =>
  request instanceof UnaryCall ? request : request.signal;

function toHeaders(headers: IncomingHttpHeaders): Headers {
  const made = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":")) continue;
    for (const each of [value].flat()) made.append(name, each);
  }
  return made;
}
