import { timestampDate } from "@bufbuild/protobuf/wkt";
import { CancelReason, OrderStatus } from "@ticketing/proto/orders/v1/order";
import { TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import {
  anyDeliveryOrder,
  expectCounterexample,
  expectSameFinalState,
  deliverAll,
} from "#runtime/testing/event-orders.ts";
import { cases } from "#runtime/testing/thoroughness.ts";
import { holdReplica } from "./events.ts";
import { applyHold, type Hold } from "./hold.ts";
import { list } from "./ticket.ts";
import { orderHistory, testTickets, type OrderEvent, type Step } from "./testing.ts";

const tickets = await testTickets();

/** Two orders that hold the ticket one after the other, and which one holds it at the end. */
const rivals: { first: Step[]; second: Step[]; end: string }[] = [
  { first: ["created", "cancelled"], second: ["created"], end: "HELD by the second" },
  { first: ["created", "expired"], second: ["created", "awaiting"], end: "HELD by the second" },
  { first: ["created", "expired"], second: ["created", "expired"], end: "ON_SALE" },
  {
    first: ["created", "awaiting", "cancelled"],
    second: ["created", "awaiting", "completed"],
    end: "SOLD by the second",
  },
  {
    first: ["created", "expired"],
    second: ["created", "awaiting", "completed", "refunded"],
    end: "WITHDRAWN",
  },
  // A sale is refunded, and orders accepts the next hold before tickets receives the refund.
  {
    first: ["created", "awaiting", "completed", "refunded"],
    second: ["created"],
    end: "HELD by the second, withdrawn",
  },
  {
    first: ["created", "awaiting", "completed", "refunded"],
    second: ["created", "expired"],
    end: "WITHDRAWN",
  },
  {
    first: ["created", "awaiting", "completed", "refunded"],
    second: ["created", "awaiting", "completed"],
    end: "SOLD by the second, withdrawn",
  },
];

type Rivals = (typeof rivals)[number];

/** Two rivals, and the order in which their events are handled. */
const heard = fc
  .constantFrom(...rivals)
  .chain((pair) =>
    fc.tuple(fc.constant(pair), anyDeliveryOrder(pair.first.length + pair.second.length)),
  );

/** The events of both, and the id of the second order. */
function lives(
  ticketId: string,
  { first, second }: Rivals,
): { events: OrderEvent[]; second: string } {
  const two = orderHistory(ticketId, 2, second);
  return { events: [...orderHistory(ticketId, 1, first), ...two], second: two[0]?.order.id ?? "" };
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  );
}

const stateOf = (status: OrderStatus, reason: CancelReason): Hold["state"] => {
  if (status === OrderStatus.COMPLETED) return "SOLD";
  if (status !== OrderStatus.CANCELLED) return "HELD";
  return reason === CancelReason.REFUNDED ? "REFUNDED" : "FREE";
};

const toHold = ({ order }: OrderEvent): Hold => ({
  orderId: order.id,
  buyerId: order.userId,
  holdNumber: Number(order.holdNumber),
  version: Number(order.version),
  expiresAt: order.expiresAt ? timestampDate(order.expiresAt) : new Date(),
  state: stateOf(order.status, order.cancelReason),
});

interface InWords {
  status: string;
  orderId: string | undefined;
  withdrawn: boolean;
}

/** The state of an unsaved ticket after these events in this order. */
function mirrored(events: readonly OrderEvent[]): InWords {
  const ticket = new tickets.deps.tickets({
    userId: "seller",
    title: "A",
    price: 1,
    currency: "EUR",
  });
  list(ticket);
  for (const event of events) applyHold(ticket, toHold(event));
  return { status: ticket.status, orderId: ticket.orderId, withdrawn: ticket.withdrawn };
}

/** Changes events before they are handled. */
type Levelling = (events: readonly OrderEvent[]) => readonly OrderEvent[];
const asTold: Levelling = (events) => events;
/** Makes all events belong to one hold, so that only the orders' versions differ. */
const asOneHold: Levelling = (events) =>
  events.map(({ schema, order }) => ({ schema, order: { ...order, holdNumber: 1n } }));
/** Makes every event look new, so that no comparison finds it stale. */
const asNews: Levelling = (events) =>
  events.map(({ schema, order }, i) => ({
    schema,
    order: { ...order, holdNumber: 1n, version: BigInt(i + 1) },
  }));

/** Handles orders alternately from events and from snapshots, as after a restore of the database. */
function eventsAndSnapshots(): (event: OrderEvent) => Promise<unknown> {
  const { applyIfNewer } = holdReplica(tickets.deps);
  let turn = 0;
  return (event) => ((turn += 1) % 2 === 0 ? applyIfNewer(event.order) : tickets.handle(event));
}

/** In the database too, a ticket ends with the right holder, and changes only as often as needed. */
const rightHolder = (level: Levelling, oneOrAll = fc.boolean()) =>
  fc.asyncProperty(heard, oneOrAll, async ([pair, order], atOnce) => {
    const { id } = await tickets.list();
    const { events, second } = lives(id, pair);
    await deliverAll(
      level(order.map((i) => events[i] as OrderEvent)),
      eventsAndSnapshots(),
      atOnce,
    );
    const ticket = await tickets.get(id);
    expect(words(inWords(ticket), second)).toBe(pair.end);
    const recorded = await tickets.recorded(id);
    expect(recorded.map((each) => each.ticket?.version)).toEqual(
      recorded.map((_, i) => BigInt(i + 1)),
    );
    expect(recorded.at(-1)?.ticket).toEqual(ticket);
  });

/** The final state in words, as in `rivals`. */
function words({ status, orderId, withdrawn }: InWords, second: string): string {
  if (!orderId) return status;
  const holder = orderId === second ? "the second" : "the first";
  return `${status} by ${holder}${withdrawn ? ", withdrawn" : ""}`;
}

describe("two rival orders leave the ticket with the right holder", () => {
  it.each(rivals)("in every order of their events: $first, $second", (pair) => {
    const { events, second } = lives(newId(), pair);
    const ends = new Set(permutations(events).map((order) => words(mirrored(order), second)));
    expect([...ends]).toEqual([pair.end]);
  });

  it("also if each arrives twice", () => {
    fc.assert(
      fc.property(heard, ([pair, order]) => {
        const { events, second } = lives(newId(), pair);
        const repeated = order.map((i) => events[i] as OrderEvent);
        expect(words(mirrored(repeated), second)).toBe(pair.end);
      }),
      { numRuns: cases(200) },
    );
  });

  it("which they would not, if hold numbers were not compared", () => {
    const wrong = rivals.filter((pair) => {
      const { events, second } = lives(newId(), pair);
      return permutations(asOneHold(events)).some(
        (order) => words(mirrored(order), second) !== pair.end,
      );
    });
    expect(wrong.length).toBeGreaterThan(1);
  });

  it("though the first one's end arrives last: it frees only its own hold", async () => {
    const { id } = await tickets.list();
    const [created, cancelled] = orderHistory(id, 1, ["created", "cancelled"]) as [
      OrderEvent,
      OrderEvent,
    ];
    const [rival] = orderHistory(id, 2, ["created"]) as [OrderEvent];
    for (const event of [created, rival, cancelled]) await tickets.handle(event);
    const held = { status: TicketStatus.HELD, orderId: rival.order.id, version: 3n };
    expect(await tickets.get(id)).toMatchObject(held);
  });

  it("in the database too, one after another and all at once", async () => {
    await fc.assert(rightHolder(asTold), { numRuns: cases(60) });
  });

  it("which they would not, if versions were not compared", async () => {
    const inSequence = fc.constant(false);
    await expectCounterexample(rightHolder(asNews, inSequence));
    await expectCounterexample(rightHolder(asOneHold, inSequence));
  });

  it("as in order, though every event arrives three times and shuffled (P10)", async () => {
    const all = await testTickets();
    const ids = await Promise.all(Array.from({ length: 20 }, () => all.list()));
    const events = ids.flatMap(
      ({ id }, i) => lives(id, rivals[i % rivals.length] as Rivals).events,
    );
    const except = ["version", "updateTime", "outbox"];
    const collections = [all.deps.tickets.collection];
    const count = await expectSameFinalState({ collections, events, hear: all.handle, except });
    expect(count).toBeGreaterThan(cases(5_000));
  });
});

function inWords({ status, orderId, withdrawn }: Ticket): InWords {
  const [word = ""] = Object.entries(TicketStatus).find(([, number]) => number === status) ?? [];
  return { status: word, orderId: orderId || undefined, withdrawn };
}

describe("an order's event", () => {
  it("for an unknown ticket is ignored", async () => {
    const [created] = orderHistory(newId(), 1, ["created"]) as [OrderEvent];
    await tickets.handle(created);
  });

  it("that arrives again changes nothing and records nothing", async () => {
    const { id } = await tickets.list();
    const [created] = orderHistory(id, 1, ["created"]) as [OrderEvent];
    for (let i = 0; i < 3; i += 1) await tickets.handle(created);
    expect(await tickets.recorded(id)).toHaveLength(2);
  });

  it("and an edit at the same moment: either the edit came first, or it is refused", async () => {
    const { id } = await tickets.list();
    let edits = 0;
    const { client, handle, get } = tickets;
    const seller = await as("seller");
    const price = { currencyCode: "EUR", units: 30n };
    for (let holdNumber = 1; holdNumber <= 20; holdNumber += 1) {
      const [created, cancelled] = orderHistory(id, holdNumber, ["created", "cancelled"]) as [
        OrderEvent,
        OrderEvent,
      ];
      const before = await get(id);
      const edited = client.updateTicket({ id, title: `edit ${holdNumber}`, price }, seller);
      const [edit] = await Promise.allSettled([edited, handle(created)]);
      const held = await get(id);
      if (edit.status === "fulfilled") edits += 1;
      expect(held.status).toBe(TicketStatus.HELD);
      expect(held.title).toBe(edit.status === "fulfilled" ? `edit ${holdNumber}` : before.title);
      await handle(cancelled);
    }
    expect(edits).toBeLessThanOrEqual(20);
  });
});
