import type { MessageProperties, Options } from "amqplib";

/** The metadata of an event, outside its body. */
export interface Envelope {
  id: string;
  type: string;
  /** The service that published it. */
  source: string;
  /** The ID of the aggregate that the event is about. */
  subject: string;
  time: Date;
}

/**
 * CloudEvents 1.0 in the binary mode of its AMQP binding: the attributes are headers, the body is the event
 * in Protobuf. The ID and the type are also AMQP properties, for the broker's tools.
 */
export const toProperties = (event: Envelope): Options.Publish => ({
  messageId: event.id,
  type: event.type,
  contentType: "application/protobuf",
  headers: {
    "cloudEvents:specversion": "1.0",
    "cloudEvents:id": event.id,
    "cloudEvents:type": event.type,
    "cloudEvents:source": `/ticketing/${event.source}`,
    "cloudEvents:subject": event.subject,
    "cloudEvents:time": event.time.toISOString(),
    "cloudEvents:dataschema": `/${event.type}`,
  },
});

/** A header from an unknown client may be a table, which cannot be converted to a string. */
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The envelope of a received message. It accepts every message that the broker delivers. */
export function fromProperties({ messageId, type, headers }: MessageProperties): Envelope {
  const header = (name: string): string => text(headers?.[`cloudEvents:${name}`]);
  return {
    id: text(messageId ?? header("id")),
    type: text(type ?? header("type")),
    source: header("source").replace("/ticketing/", ""),
    subject: header("subject"),
    time: new Date(header("time")),
  };
}
