import { setTimeout as passing } from "node:timers/promises";
import type { DescMessage, DescService, FileRegistry, Message } from "@bufbuild/protobuf";
import { anyPack, anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import { ConnectError, type Code, type HandlerContext } from "@connectrpc/connect";
import type { Routes } from "../rpc/server.ts";

// The service that the conformance suite calls. A request defines its response, and the response reports what
// arrived. Its messages have no generated code, so their types are declared here.

interface Header {
  name: string;
  value: string[];
}

interface Failure {
  code: Code;
  message?: string;
  details: Any[];
}

interface ResponseDefinition {
  responseHeaders: Header[];
  responseTrailers: Header[];
  responseDelayMs: number;
}

/** How a unary call ends. */
interface One extends ResponseDefinition {
  response:
    | { case: "responseData"; value: Uint8Array }
    | { case: "error"; value: Failure }
    | { case: undefined };
}

/** How a call with a stream of responses ends. */
interface Many extends ResponseDefinition {
  responseData: Uint8Array[];
  error?: Failure;
}

type Request<W extends ResponseDefinition> = Message & {
  responseDefinition?: W;
  fullDuplex?: boolean;
};

const pairs = (entries: Iterable<[string, string]>): Header[] =>
  [...entries].map(([name, value]) => ({ name, value: [value] }));

/** The handlers of the suite's service. The registry contains its messages. */
export function conformanceRoutes(service: DescService, registry: FileRegistry): Routes {
  const schemaOf = (name: string) => {
    const schema = registry.getMessage(name);
    if (!schema) throw new Error(`the suite has no ${name}`);
    return schema;
  };
  const pack = (message: Message): Any => anyPack(schemaOf(message.$typeName), message);

  /** The received request, as a message for a response or for an error's details. */
  function seen({ requestHeader, requestMethod, timeoutMs, url }: HandlerContext, all: Message[]) {
    const left = timeoutMs();
    const query = pairs(new URL(url).searchParams);
    return {
      requestHeaders: pairs(requestHeader),
      requests: all.map(pack),
      ...(left === undefined ? {} : { timeoutMs: BigInt(Math.ceil(left)) }),
      ...(requestMethod === "GET" ? { connectGetInfo: { queryParams: query } } : {}),
    };
  }

  function failure(
    { code, message = "", details }: Failure,
    info?: Record<string, unknown>,
  ): ConnectError {
    const told: { desc: DescMessage; value: Record<string, unknown> }[] = details.map((any) => {
      const value = anyUnpack(any, registry);
      if (!value) throw new Error(`the suite has no ${any.typeUrl}`);
      return { desc: schemaOf(value.$typeName), value: { ...value } };
    });
    const desc = schemaOf("connectrpc.conformance.v1.ConformancePayload.RequestInfo");
    const all = info === undefined ? told : [...told, { desc, value: info }];
    return new ConnectError(message, code, undefined, all);
  }

  function prepare(definition: ResponseDefinition | undefined, ctx: HandlerContext): void {
    for (const [name, value] of flat(definition?.responseHeaders))
      ctx.responseHeader.append(name, value);
    for (const [name, value] of flat(definition?.responseTrailers)) {
      ctx.responseTrailer.append(name, value);
    }
  }

  async function pause(
    definition: ResponseDefinition | undefined,
    { signal }: HandlerContext,
  ): Promise<void> {
    if (definition?.responseDelayMs) await passing(definition.responseDelayMs);
    signal.throwIfAborted();
  }

  async function one(requests: Request<One>[], ctx: HandlerContext) {
    const definition = requests[0]?.responseDefinition;
    prepare(definition, ctx);
    await pause(definition, ctx);
    const requestInfo = seen(ctx, requests);
    if (definition?.response.case === "error")
      throw failure(definition.response.value, requestInfo);
    const data =
      definition?.response.case === "responseData" ? definition.response.value : new Uint8Array();
    return { payload: { data, requestInfo } };
  }

  async function* many(requests: AsyncIterable<Request<Many>>, ctx: HandlerContext) {
    let definition: Many | undefined;
    let fullDuplex: boolean | undefined;
    let sent = 0;
    let unanswered: Message[] = [];
    for await (const request of requests) {
      if (fullDuplex === undefined) prepare((definition = request.responseDefinition), ctx);
      fullDuplex ??= request.fullDuplex ?? false;
      unanswered.push(request);
      if (!fullDuplex) continue;
      const data = definition?.responseData[sent];
      if (data === undefined) break;
      await pause(definition, ctx);
      const requestInfo = sent === 0 ? seen(ctx, unanswered) : { requests: unanswered.map(pack) };
      yield { payload: { data, requestInfo } };
      sent += 1;
      unanswered = [];
    }
    for (const data of definition?.responseData.slice(sent) ?? []) {
      await pause(definition, ctx);
      yield { payload: { data, ...(sent === 0 ? { requestInfo: seen(ctx, unanswered) } : {}) } };
      sent += 1;
    }
    if (definition?.error)
      throw failure(definition.error, sent === 0 ? seen(ctx, unanswered) : undefined);
  }

  const unary = (request: Request<One>, ctx: HandlerContext) => one([request], ctx);
  const handlers = {
    unary,
    idempotentUnary: unary,
    clientStream: async (requests: AsyncIterable<Request<One>>, ctx: HandlerContext) => {
      const all: Request<One>[] = [];
      for await (const request of requests) all.push(request);
      return one(all, ctx);
    },
    serverStream: (request: Request<Many>, ctx: HandlerContext) => many(only(request), ctx),
    bidiStream: many,
  };
  // JSON can represent an `Any` only for known message types.
  return (router) => router.service(service, handlers as never, { jsonOptions: { registry } });
}

const flat = (headers: Header[] = []): [string, string][] =>
  headers.flatMap(({ name, value }) => value.map((each): [string, string] => [name, each]));

async function* only<T>(item: T): AsyncIterable<T> {
  yield item;
}
