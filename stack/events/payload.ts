import {
  clone,
  fromBinary,
  ScalarType,
  toJson,
  type DescField,
  type DescMessage,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { timestampDate, TimestampSchema, type Timestamp } from "@bufbuild/protobuf/wkt";
import { MoneySchema, type Money } from "@ticketing/proto/google/type/money";
import { events } from "./registry.ts";
import { fieldText, sanitize } from "./terminal-text.ts";

/** The decoded body of an event. */
export interface Payload {
  /** `status=CREATED price=25.50 EUR`: every field that is set, with shortened IDs. */
  summary: string;
  json: JsonValue | undefined;
  /** All scalar values, to find an event by an ID in it. */
  values: ReadonlySet<string>;
}

/**
 * Decodes a body by its type. A body that cannot be decoded is described by its size. Fields that
 * the contract marks `debug_redact` are left out. The summary also leaves out the subject, which has
 * its own column.
 */
export function readPayload(type: string, body: Uint8Array, subject = ""): Payload {
  const schema = events.getMessage(type);
  if (!schema) return undecoded(body, "unknown type");
  let message: Message;
  try {
    message = fromBinary(schema, body);
  } catch {
    return undecoded(body, "cannot be decoded");
  }
  return describe(schema, message, subject);
}

const undecoded = (body: Uint8Array, reason: string): Payload => ({
  summary: `(${body.byteLength} bytes, ${reason})`,
  json: undefined,
  values: new Set(),
});

export function describe(schema: DescMessage, message: Message, subject = ""): Payload {
  const redacted = clone(schema, message);
  redact(reflect(schema, redacted));
  const fields = [...fieldsOf(reflect(schema, redacted))];
  return {
    summary: fields
      .filter(({ value, inSummary }) => inSummary && value !== subject)
      .map(({ path, value, isText }) => `${path}=${isText ? fieldText(value) : sanitize(value)}`)
      .join(" "),
    json: toJson(schema, redacted),
    values: new Set(fields.map(({ value }) => value)),
  };
}

const isSecret = ({ proto }: DescField): boolean => proto.options?.debugRedact === true;

/** Clears the fields that the contract marks `debug_redact`, at any depth. */
function redact(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (isSecret(field)) message.clear(field);
    else if (field.fieldKind === "message") redact(message.get(field));
    else if (field.fieldKind === "list" && field.listKind === "message") {
      for (const item of message.get(field)) redact(item as ReflectMessage);
    } else if (field.fieldKind === "map" && field.mapKind === "message") {
      for (const item of message.get(field).values()) redact(item as ReflectMessage);
    }
  }
}

interface Field {
  path: string;
  value: string;
  inSummary: boolean;
  /** The value is a string that a user can have written. */
  isText: boolean;
}

/** Each line has the time of its event, so these fields of AIP-148 add nothing to a summary. */
const OMITTED_FIELDS = new Set(["create_time", "update_time"]);

function* fieldsOf(message: ReflectMessage, parent?: string): Generator<Field> {
  // Most events hold one resource in one field. Its name repeats the type, so paths omit it.
  const isWrapper = parent === undefined && message.fields.length === 1;
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const path = parent ? `${parent}.${field.jsonName}` : field.jsonName;
    const value = format(message, field);
    if (value !== undefined) {
      const isText = field.scalar === ScalarType.STRING;
      yield { path, value, inSummary: !OMITTED_FIELDS.has(field.name), isText };
    } else if (field.fieldKind === "message") {
      yield* fieldsOf(message.get(field), isWrapper ? "" : path);
    }
  }
}

/** The value of a field as text, or undefined for a message whose fields are shown instead. */
function format(message: ReflectMessage, field: DescField): string | undefined {
  switch (field.fieldKind) {
    case "scalar": {
      const value = message.get(field);
      return value instanceof Uint8Array ? `${value.byteLength} bytes` : String(value);
    }
    case "enum": {
      const number = message.get(field);
      return field.enum.value[number]?.localName ?? String(number);
    }
    case "list":
      return `${message.get(field).size} items`;
    case "map":
      return `${message.get(field).size} entries`;
    case "message":
      return formatWellKnown(message.get(field));
  }
}

function formatWellKnown({ desc, message }: ReflectMessage): string | undefined {
  if (desc.typeName === TimestampSchema.typeName) {
    return timestampDate(message as Timestamp).toISOString();
  }
  if (desc.typeName === MoneySchema.typeName) return formatMoney(message as Money);
  return undefined;
}

function formatMoney({ units, nanos, currencyCode }: Money): string {
  const fraction = String(Math.abs(nanos)).padStart(9, "0").replace(/0+$/, "");
  return `${units}${fraction === "" ? "" : `.${fraction.padEnd(2, "0")}`} ${currencyCode}`;
}
