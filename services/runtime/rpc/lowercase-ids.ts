import {
  getOption,
  hasOption,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { field as rules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { Interceptor } from "@connectrpc/connect";

// A UUID means the same in capitals (RFC 9562), and is stored in small letters. Requests are put right
// here, once and before any handler, so that nothing behind compares two spellings of one id.

function isId(field: DescField): boolean {
  if (field.fieldKind !== "scalar" || !hasOption(field, rules)) return false;
  const { type } = getOption(field, rules);
  return type.case === "string" && type.value.wellKnown.case === "uuid";
}

const known = new Map<DescMessage, readonly string[]>();

/** The fields of a request that hold ids: those of which its contract says so. */
function idsOf(message: DescMessage): readonly string[] {
  const found = known.get(message) ?? message.fields.filter(isId).map((each) => each.localName);
  known.set(message, found);
  return found;
}

/** Writes the ids of every request in small letters. */
export const lowercaseIds: Interceptor = (next) => (req) => {
  if (!req.stream) {
    const fields = req.message as Message & Record<string, unknown>;
    for (const name of idsOf(req.method.input)) fields[name] = String(fields[name]).toLowerCase();
  }
  return next(req);
};
