import type { DescMessage } from "@bufbuild/protobuf";
import { OrderSchema } from "@ticketing/proto/orders/v1/order";
import { TicketSchema } from "@ticketing/proto/tickets/v1/ticket";
import { expect, it } from "vitest";
import { orderSnapshots, ticketReplica } from "./orders/events.ts";
import { orderReplica } from "./payments/events.ts";
import { holdReplica, ticketSnapshots } from "./tickets/events.ts";

// A replica that was built before a field existed does not have it. Only a new edition makes a service
// request all documents once more, and no other test notices that an edition was forgotten.

const none = {} as never;

interface Editions {
  message: DescMessage;
  publisher: { edition?: number };
  replicas: { edition?: number }[];
  /** The fields that each edition added, from the first. Raise `edition` for each list. */
  fields: string[][];
  /** The fields that no replica stores. */
  notStored: string[];
}

const replicated: Editions[] = [
  {
    message: TicketSchema,
    publisher: ticketSnapshots(none),
    replicas: [ticketReplica(none)],
    fields: [
      [
        ...["id", "user_id", "title", "price", "category", "venue", "event_time", "status"],
        ...["version", "price_version", "withdrawn"],
      ],
      ["details_version"],
      ["time_zone"],
    ],
    notStored: [
      ...["order_id", "held_until", "create_time", "update_time", "has_code", "needs_new_code"],
    ],
  },
  {
    message: OrderSchema,
    publisher: orderSnapshots(none),
    replicas: [holdReplica(none), orderReplica(none)],
    fields: [
      [
        ...[
          "id",
          "user_id",
          "ticket_id",
          "status",
          "cancel_reason",
          "title",
          "price",
          "expires_at",
        ],
        ...[
          "seller_id",
          "event_time",
          "attempt_id",
          "version",
          "hold_number",
          "venue",
          "time_zone",
        ],
      ],
    ],
    notStored: ["category", "create_time", "update_time"],
  },
];

it.each(replicated)(
  "every field of $message.name has an edition, or no replica stores it",
  ({ message, fields, notStored }) => {
    const decided = new Set([...fields.flat(), ...notStored]);
    const undecided = message.fields.map(({ name }) => name).filter((name) => !decided.has(name));
    expect(
      undecided,
      `If a replica stores the new field of ${message.name}, add it to a new edition in this test, and ` +
        "raise `edition` at the publisher and at that replica. If none stores it, add it to `notStored`.",
    ).toEqual([]);
  },
);

it.each(replicated)(
  "the snapshots of $message.name have the last edition, and no replica requires a later one",
  ({ message, publisher, replicas, fields }) => {
    const last = fields.length;
    expect(
      publisher.edition ?? 1,
      `\`edition\` of the snapshot publisher of ${message.name}, in events.ts of its owner, must be ${last}.`,
    ).toBe(last);
    for (const { edition = 1 } of replicas) expect(edition).toBeLessThanOrEqual(last);
  },
);
