import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import {
  TicketCreatedSchema,
  TicketUpdatedSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import {
  expectCounterexample,
  expectSameFinalState,
  deliverAll,
} from "#runtime/testing/event-orders.ts";
import { cases } from "#runtime/testing/thoroughness.ts";
import { ticketReplica } from "./events.ts";
import { testOrders, ticketMessage } from "./testing.ts";

const { deps, handle, ticket, buy } = await testOrders();

const tell = (state: Ticket): Promise<void> =>
  handle(state.version === 1n ? TicketCreatedSchema : TicketUpdatedSchema, { ticket: state });

/** The states that a ticket goes through: it is repriced, gets a date, loses it, and is withdrawn. */
function life(): Ticket[] {
  const id = newId();
  const eventTime = timestampFromDate(new Date(Date.now() + 86_400_000));
  const dearer = { currencyCode: "EUR", units: 30n };
  return [
    ticketMessage({ id }),
    ticketMessage({ id, version: 2n, priceVersion: 2n, price: dearer }),
    ticketMessage({ id, version: 3n, priceVersion: 2n, price: dearer, eventTime }),
    ticketMessage({ id, version: 4n, priceVersion: 2n, price: dearer, title: "Dateless" }),
  ];
}

const copyOf = (id: string) => deps.tickets.findById(id).lean();

/** Changes events before they are handled. */
type Levelling = (states: readonly Ticket[]) => readonly Ticket[];
const asTold: Levelling = (states) => states;
/** Makes every event look new, so that no comparison finds it stale. */
const asNews: Levelling = (states) =>
  states.map((state, i) => ({ ...state, version: BigInt(i + 1) }));

/** Handles tickets alternately from events and from snapshots, as after a start with an empty database. */
function eventsAndSnapshots(): (state: Ticket) => Promise<unknown> {
  const { applyIfNewer } = ticketReplica(deps);
  let turn = 0;
  return (state) => ((turn += 1) % 2 === 0 ? applyIfNewer(state) : tell(state));
}

/** The replica has the newest of the handled states, some of which may be missing. */
const newestIsKept = (level: Levelling) =>
  fc.asyncProperty(
    fc.shuffledSubarray([0, 1, 2, 3, 0, 1, 2, 3], { minLength: 4 }),
    async (order) => {
      const states = life();
      await deliverAll(level(order.map((i) => states[i] as Ticket)), eventsAndSnapshots(), false);
      const newest = states[Math.max(...order)] as Ticket;
      const copy = await copyOf(newest.id);
      expect(copy).toMatchObject({
        title: newest.title,
        priceVersion: Number(newest.priceVersion),
        price: Number(newest.price?.units) * 100,
        withdrawn: false,
      });
      expect(copy?.eventTime !== undefined).toBe(newest.eventTime !== undefined);
    },
  );

describe("the replica of a ticket", () => {
  it("has its newest state, in whatever order and however often its events arrive", async () => {
    await fc.assert(newestIsKept(asTold), { numRuns: cases(60) });
  });

  it("would not, if versions were not compared", async () => {
    await expectCounterexample(newestIsKept(asNews));
  });

  it("ends as it does in order, though every event arrives three times and shuffled (P10)", async () => {
    const all = await testOrders();
    const events = Array.from({ length: 22 }, life).flat();
    const collections = [all.deps.tickets.collection];
    const hearOf = (state: Ticket) => all.handle(TicketUpdatedSchema, { ticket: state });
    const count = await expectSameFinalState({ collections, events, hear: hearOf, except: [] });
    expect(count).toBeGreaterThan(cases(5_000));
  });

  it("has its newest state though all events are handled at once", async () => {
    for (let round = 0; round < cases(40); round += 1) {
      const states = life();
      await Promise.all(states.map(tell));
      expect(await copyOf(states[0]?.id ?? "")).toMatchObject({ version: 4, title: "Dateless" });
    }
  });

  it("follows withdrawing and relisting", async () => {
    const id = await ticket();
    await tell(ticketMessage({ id, version: 2n, status: TicketStatus.WITHDRAWN }));
    expect((await refusal(buy(id))).reason).toBe("TICKET_WITHDRAWN");
    await tell(ticketMessage({ id, version: 3n }));
    expect((await buy(id)).ticketId).toBe(id);
  });

  it("does not decide who holds it: what tickets publishes about that follows from orders", async () => {
    const id = await ticket();
    await tell(ticketMessage({ id, version: 2n, status: TicketStatus.HELD, orderId: newId() }));
    expect((await buy(id)).holdNumber).toBe(1n);
  });

  it("is not made from an event without a ticket or a price", async () => {
    await expect(handle(TicketCreatedSchema, {})).rejects.toThrow("without its ticket");
    const { price: _, ...free } = ticketMessage();
    await expect(handle(TicketCreatedSchema, { ticket: free })).rejects.toThrow(
      "without its price",
    );
  });
});
