import type { MessageProperties, Options } from "amqplib";

/** What surrounds an event's bytes on the way. */
export interface Envelope {
  id: string;
  type: string;
  /** The service that published it. */
  source: string;
  /** The id of the thing that it tells of. */
  subject: string;
  time: Date;
}

/**
 * CloudEvents 1.0 in the binary mode of its AMQP binding: the attributes are headers, the body is the
 * event's Protobuf bytes. The id and type stand in AMQP's own properties too, for the broker's tools.
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

/** A stranger's header may be a table, which cannot even be made a string of. */
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The envelope of a message as it came. It reads everything that the broker lets through. */
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
