import { create, createFileRegistry, type DescService, setExtension } from "@bufbuild/protobuf";
import {
  file_google_protobuf_wrappers,
  FileDescriptorProtoSchema,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import type { CallOptions, HandlerContext } from "@connectrpc/connect";
import {
  access,
  type Access,
  own_credentials as ownCredentials,
} from "@ticketing/proto/options/v1/options";
import type { Routes } from "../rpc/server.ts";

/** A method of a word service: it receives a word and returns a word. */
export interface WordMethod {
  /** The declared access. If it is omitted, the contract has no declaration. */
  access?: Access;
  /** Whether the method uses its own credentials instead of an access token. */
  ownCredentials?: boolean;
  answer(word: string, ctx: HandlerContext): string | Promise<string>;
}

/** The methods of a word service as a client calls them. */
export type WordClient = Record<
  string,
  (request: { value?: string }, options?: CallOptions) => Promise<{ value: string }>
>;

const WORD = ".google.protobuf.StringValue";

/** A service that is defined at run time, for tests that apply to every service and contract. */
export function wordService(methods: Record<string, WordMethod>): {
  service: DescService;
  routes: Routes;
} {
  const method = Object.entries(methods).map(([name, { access: asked, ownCredentials: own }]) => {
    const options = create(MethodOptionsSchema);
    if (asked !== undefined) setExtension(options, access, asked);
    if (own !== undefined) setExtension(options, ownCredentials, own);
    return { name, inputType: WORD, outputType: WORD, options };
  });
  const file = create(FileDescriptorProtoSchema, {
    name: "test/words.proto",
    package: "test",
    syntax: "proto3",
    dependency: ["google/protobuf/wrappers.proto"],
    service: [{ name: "WordService", method }],
  });
  const service = createFileRegistry(file, (name) =>
    name === "google/protobuf/wrappers.proto" ? file_google_protobuf_wrappers : undefined,
  ).getService("test.WordService");
  if (!service) throw new Error("the service was not made");
  const handlers = service.methods.map(({ name, localName }) => [
    localName,
    async ({ value }: { value: string }, ctx: HandlerContext) => ({
      value: await methods[name]?.answer(value, ctx),
    }),
  ]);
  const routes: Routes = (router) => router.service(service, Object.fromEntries(handlers) as never);
  return { service, routes };
}
