import {
  clone,
  createRegistry,
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
import { file_ticketing_auth_v1_user_events } from "@ticketing/proto/auth/v1/user_events";
import { file_ticketing_expiration_v1_expiration_events } from "@ticketing/proto/expiration/v1/expiration_events";
import { MoneySchema, type Money } from "@ticketing/proto/google/type/money";
import { file_ticketing_orders_v1_order_events } from "@ticketing/proto/orders/v1/order_events";
import { file_ticketing_payments_v1_payment_events } from "@ticketing/proto/payments/v1/payment_events";
import { file_ticketing_tickets_v1_ticket_events } from "@ticketing/proto/tickets/v1/ticket_events";

/** Every event that there is, also those that nobody hears. */
export const events = createRegistry(
  file_ticketing_auth_v1_user_events,
  file_ticketing_tickets_v1_ticket_events,
  file_ticketing_orders_v1_order_events,
  file_ticketing_payments_v1_payment_events,
  file_ticketing_expiration_v1_expiration_events,
);

/** An event's body, read. */
export interface Payload {
  /** `status=CREATED price=25.50 EUR`: every field that is set, ids by their ends. */
  summary: string;
  json: JsonValue | undefined;
  /** All scalar values, to find an event by an id in it. */
  values: ReadonlySet<string>;
}

/**
 * Reads the body by its type; what cannot be read is told by its size. Secret fields are left out,
 * and from the summary also the subject, which stands beside it.
 */
export function readPayload(type: string, body: Uint8Array, subject = ""): Payload {
  const schema = events.getMessage(type);
  if (!schema) return unread(body, "unknown type");
  let message: Message;
  try {
    message = fromBinary(schema, body);
  } catch {
    return unread(body, "cannot be decoded");
  }
  return describe(schema, message, subject);
}

const unread = (body: Uint8Array, why: string): Payload => ({
  summary: `(${body.byteLength} bytes, ${why})`,
  json: undefined,
  values: new Set(),
});

export function describe(schema: DescMessage, message: Message, subject = ""): Payload {
  const open = clone(schema, message);
  redact(reflect(schema, open));
  const told = [...fields(reflect(schema, open))];
  return {
    summary: told
      .filter(({ value, isNews }) => isNews && value !== subject)
      .map(({ path, value, isText }) => `${path}=${isText ? quoted(short(value)) : safe(value)}`)
      .join(" "),
    json: toJson(schema, open),
    values: new Set(told.map(({ value }) => value)),
  };
}

const isSecret = ({ proto }: DescField): boolean => proto.options?.debugRedact === true;

/** Empties the fields that the contract marks `debug_redact`, wherever they are. */
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

interface Told {
  path: string;
  value: string;
  isNews: boolean;
  /** Somebody else chose the words. */
  isText: boolean;
}

/** A line has its own time, so these two of AIP-148 would only make it longer. */
const usual = new Set(["create_time", "update_time"]);

function* fields(message: ReflectMessage, within?: string): Generator<Told> {
  // An event is mostly one thing in one field, whose name says nothing that the type has not said.
  const isWrapper = within === undefined && message.fields.length === 1;
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const path = within ? `${within}.${field.jsonName}` : field.jsonName;
    const value = scalar(message, field);
    if (value !== undefined) {
      const isText = field.scalar === ScalarType.STRING;
      yield { path, value, isNews: !usual.has(field.name), isText };
    } else if (field.fieldKind === "message") {
      yield* fields(message.get(field), isWrapper ? "" : path);
    }
  }
}

/** A field in a word or two; undefined where it has fields of its own. */
function scalar(message: ReflectMessage, field: DescField): string | undefined {
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
      return wellKnown(message.get(field));
  }
}

function wellKnown({ desc, message }: ReflectMessage): string | undefined {
  if (desc.typeName === TimestampSchema.typeName) {
    return timestampDate(message as Timestamp).toISOString();
  }
  if (desc.typeName === MoneySchema.typeName) return price(message as Money);
  return undefined;
}

function price({ units, nanos, currencyCode }: Money): string {
  const part = String(Math.abs(nanos)).padStart(9, "0").replace(/0+$/, "");
  return `${units}${part === "" ? "" : `.${part.padEnd(2, "0")}`} ${currencyCode}`;
}

const LONGEST = 80;

/** Nothing that a terminal would obey, in the way of JSON: a title may hold anything. */
const harmless = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (char) =>
    Array.from(
      { length: char.length },
      (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`,
    ).join(""),
  );

/** Text of others for a terminal: one harmless line, of bearable length. */
export const safe = (text: string, longest = LONGEST): string =>
  harmless(text.length > longest ? `${text.slice(0, longest)}…` : text);

/** JSON for programs and for a terminal: the same to a reader, and harmless. */
export const json = (value: unknown): string => harmless(JSON.stringify(value));

/** The beginning of a UUIDv7 is its time, so neighbours differ only at the end. */
const short = (text: string): string =>
  text.replace(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[\da-f]{4}-[\da-f]{4}([\da-f]{8})$/, "…$1");

const quoted = (text: string): string =>
  /^[\w.:@/…-]*$/.test(text) ? text : `"${safe(text.replaceAll('"', "'"))}"`;

/** The last part of a type's full name; one that is no event of ours keeps all of it. */
export const shortType = (type: string): string =>
  events.getMessage(type)?.name ?? (type === "" ? "-" : safe(type));
