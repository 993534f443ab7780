import {
  createRegistry,
  toBinary,
  type DescFile,
  type DescService,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import type {
  ServerReflection,
  ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "@ticketing/proto/grpc/reflection/v1/reflection";

type Answer = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]
>;

/** A file and everything that it imports, each file once. */
function closure(file: DescFile, seen = new Map<string, DescFile>()): Map<string, DescFile> {
  if (!seen.has(file.proto.name)) {
    seen.set(file.proto.name, file);
    for (const dependency of file.dependencies) closure(dependency, seen);
  }
  return seen;
}

const files = (file: DescFile): Answer => ({
  case: "fileDescriptorResponse",
  value: {
    fileDescriptorProto: [...closure(file).values()].map(({ proto }) =>
      toBinary(FileDescriptorProtoSchema, proto),
    ),
  },
});

const notFound = (what: string): Answer => ({
  case: "errorResponse",
  value: { errorCode: Code.NotFound, errorMessage: `${what} is not known here` },
});

/**
 * Describes the services to clients that do not have the schema (`grpcurl`, `buf curl`). Every instance
 * describes all public services, so the edge may route a request to any of them. v1 and v1alpha have the
 * same messages under two names; one implementation serves both.
 */
export function reflectionService(
  services: readonly DescService[],
): ServiceImpl<typeof ServerReflection> {
  const byName = new Map<string, DescFile>();
  for (const service of services) closure(service.file, byName);
  const registry = createRegistry(...byName.values());

  // A method or a field is described by the file of its service or message.
  function fileOf(symbol: string): DescFile | undefined {
    const found = registry.get(symbol);
    if (found) return found.file;
    const parent = symbol.slice(0, symbol.lastIndexOf("."));
    return parent && parent !== symbol ? fileOf(parent) : undefined;
  }

  function answer({ messageRequest }: ServerReflectionRequest): Answer {
    switch (messageRequest.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: services.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename": {
        const file = byName.get(messageRequest.value);
        return file ? files(file) : notFound(messageRequest.value);
      }
      case "fileContainingSymbol": {
        const file = fileOf(messageRequest.value);
        return file ? files(file) : notFound(messageRequest.value);
      }
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = messageRequest.value;
        const message = registry.getMessage(containingType);
        const extension = message && registry.getExtensionFor(message, extensionNumber);
        return extension ? files(extension.file) : notFound(`${containingType} ${extensionNumber}`);
      }
      case "allExtensionNumbersOfType": {
        const known = [...registry].filter((type) => type.kind === "extension");
        const numbers = known
          .filter(({ extendee }) => extendee.typeName === messageRequest.value)
          .map(({ number }) => number);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: messageRequest.value, extensionNumber: numbers },
        };
      }
      default:
        return notFound("an empty request");
    }
  }

  return {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        yield { originalRequest: request, messageResponse: answer(request) };
      }
    },
  };
}
