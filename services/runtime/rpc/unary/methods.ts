import type {
  DescMethod,
  DescMethodUnary,
  Message,
  MessageInitShape,
  DescMessage,
} from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, Interceptor } from "@connectrpc/connect";
import type { UniversalHandlerOptions } from "@connectrpc/connect/protocol";

type JsonOptions = UniversalHandlerOptions["jsonOptions"];

/** A unary method as a service registered it. */
export interface UnaryMethod {
  desc: DescMethodUnary;
  implement: (
    request: Message,
    ctx: HandlerContext,
  ) => Promise<MessageInitShape<DescMessage>> | MessageInitShape<DescMessage>;
  jsonOptions?: JsonOptions;
  /** Replaces the interceptors of the server. */
  interceptors?: readonly Interceptor[];
}

/** Whether the lean path knows all these options. */
const isKnown = (options: object): options is Pick<UnaryMethod, "jsonOptions" | "interceptors"> =>
  Object.keys(options).every((name) => name === "jsonOptions" || name === "interceptors");

/**
 * A router that passes all handlers on to the library's router, and adds the unary ones to `methods`. A
 * service registers its handlers once and does not learn who calls them.
 */
export function collectUnary(router: ConnectRouter, methods: UnaryMethod[]): ConnectRouter {
  const collect = (
    desc: DescMethod,
    implement: UnaryMethod["implement"],
    options: Partial<UniversalHandlerOptions> = {},
  ): void => {
    if (isKnown(options)) methods.push({ desc: desc as DescMethodUnary, implement, ...options });
  };
  const collecting: ConnectRouter = {
    handlers: router.handlers,
    service(service, implementation, options) {
      router.service(service, implementation, options);
      for (const desc of service.methods) {
        const implement = (implementation as Record<string, unknown>)[desc.localName];
        if (desc.methodKind !== "unary" || typeof implement !== "function") continue;
        collect(desc, implement.bind(implementation) as UnaryMethod["implement"], options);
      }
      return collecting;
    },
    rpc(method, implement, options) {
      router.rpc(method, implement, options);
      if (method.methodKind === "unary")
        collect(method, implement as UnaryMethod["implement"], options);
      return collecting;
    },
  };
  return collecting;
}
