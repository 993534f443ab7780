import {
  getOption,
  hasOption,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { field as rules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { Interceptor } from "@connectrpc/connect";

// UUIDs are case-insensitive (RFC 9562) and are stored in lower case. Requests are normalized here, before
// any handler, so no other code compares two spellings of one ID.

function isId(field: DescField): boolean {
  if (field.fieldKind !== "scalar" || !hasOption(field, rules)) return false;
  const { type } = getOption(field, rules);
  return type.case === "string" && type.value.wellKnown.case === "uuid";
}

const known = new Map<DescMessage, readonly string[]>();

/** The fields of a request that the contract declares as IDs. */
function idsOf(message: DescMessage): readonly string[] {
  const found = known.get(message) ?? message.fields.filter(isId).map((each) => each.localName);
  known.set(message, found);
  return found;
}

/** Converts the IDs of every request to lower case. */
export const lowercaseIds: Interceptor = (next) => (req) => {
  if (!req.stream) {
    const fields = req.message as Message & Record<string, unknown>;
    for (const name of idsOf(req.method.input)) fields[name] = String(fields[name]).toLowerCase();
  }
  return next(req);
};
