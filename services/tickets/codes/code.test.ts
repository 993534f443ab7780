import { Code } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { RefundRequestedSchema } from "@ticketing/proto/payments/v1/payment_events";
import type { Ticket } from "@ticketing/proto/tickets/v1/ticket";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { cases } from "#runtime/testing/thoroughness.ts";
import { ticketEvents } from "../events.ts";
import { orderHistory, testTickets, type Step } from "../testing.ts";

const CODE = "open-sesame-7421";
const { client, deps, handle, list, get, recorded } = await testTickets();

const handlers = new Map(ticketEvents(deps).map((each) => [each.type, each]));

/** The buyer of the order requests a refund. */
async function askBack(ticketId: string, orderId: string): Promise<void> {
  const event = create(RefundRequestedSchema, { ticketId, payment: { orderId } });
  await handlers.get(RefundRequestedSchema.typeName)?.handle(event);
}

/** A ticket with a code, and ann's completed order for it. */
async function sold(
  steps: readonly Step[] = ["created", "awaiting", "completed"],
): Promise<{ ticket: Ticket; orderId: string }> {
  const ticket = await list({ code: CODE });
  const life = orderHistory(ticket.id, 1, steps, "ann");
  for (const event of life) await handle(event);
  return { ticket, orderId: life[0]?.order.id ?? "" };
}

const open = async (id: string, user = "ann"): Promise<string> =>
  (await client.openTicketCode({ id }, await as(user))).code;

/** The recorded events about the code. */
const toldOfCode = async (id: string): Promise<string[]> =>
  (await recorded(id)).map(({ type }) => type).filter((type) => type.startsWith("TicketCode"));

describe("revealing the code", () => {
  it("is published once, however often it is revealed, and never with the code in it", async () => {
    const { ticket } = await sold();
    expect(await open(ticket.id)).toBe(CODE);
    expect(await open(ticket.id)).toBe(CODE);
    expect(await toldOfCode(ticket.id)).toEqual(["TicketCodeOpened"]);
    const { outbox } = await deps.tickets.findById(ticket.id).orFail();
    for (const { payload } of outbox) expect(payload.toString("latin1")).not.toContain(CODE);
  });

  it("leaves replicas with the newest version of the ticket", async () => {
    const { ticket } = await sold();
    await open(ticket.id);
    expect((await recorded(ticket.id)).at(-1)).toEqual({
      type: "TicketUpdated",
      ticket: await get(ticket.id),
    });
  });

  it("of a ticket without one is refused", async () => {
    const ticket = await list();
    const steps: Step[] = ["created", "awaiting", "completed"];
    for (const event of orderHistory(ticket.id, 1, steps, "ann")) await handle(event);
    expect(await refusal(open(ticket.id))).toMatchObject({
      code: Code.NotFound,
      reason: "CODE_NOT_FOUND",
    });
    expect(await toldOfCode(ticket.id)).toEqual([]);
  });

  it("is refused once the buyer has requested a refund", async () => {
    const { ticket, orderId } = await sold();
    await askBack(ticket.id, orderId);
    expect(await refusal(open(ticket.id))).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "CODE_SEALED",
    });
    expect(await toldOfCode(ticket.id)).toEqual(["TicketCodeSealed"]);
  });

  it("is refused also if the refund request arrived before the event that the order is paid", async () => {
    const { ticket, orderId } = await sold(["created", "awaiting"]);
    await askBack(ticket.id, orderId);
    const [, , completed] = orderHistory(ticket.id, 1, ["created", "awaiting", "completed"], "ann");
    if (completed) completed.order.id = orderId;
    if (completed) await handle(completed);
    expect((await refusal(open(ticket.id))).reason).toBe("CODE_SEALED");
  });

  it("of the next buyer is not affected by what the buyer before has requested", async () => {
    const { ticket, orderId } = await sold(["created", "awaiting", "completed", "refunded"]);
    await askBack(ticket.id, orderId);
    await client.relistTicket({ id: ticket.id }, await as("seller"));
    const steps: Step[] = ["created", "awaiting", "completed"];
    for (const event of orderHistory(ticket.id, 2, steps, "bob")) await handle(event);
    expect(await open(ticket.id, "bob")).toBe(CODE);
  });
});

describe("a buyer whose completed order is not known to tickets yet", () => {
  const soon = { code: Code.Unavailable, reason: "NOT_READY", retryAfterMs: 200 };
  const unpaid = { ...soon, retryAfterMs: 500 };
  const openAs = async (user: string, id: string, orderId = ""): Promise<unknown> =>
    client.openTicketCode({ id, orderId }, await as(user));

  it("is told to retry, if their hold is known", async () => {
    for (const steps of [["created"], ["created", "awaiting"]] as Step[][]) {
      const { ticket } = await sold(steps);
      expect(await refusal(openAs("ann", ticket.id))).toMatchObject(unpaid);
      expect((await refusal(openAs("eve", ticket.id))).reason).toBe("TICKET_NOT_FOUND");
    }
  });

  it("is told to retry because of the order that they name, if nothing is known", async () => {
    const { id } = await list({ code: CODE });
    const life = orderHistory(id, 1, ["created", "awaiting", "completed"], "ann");
    const orderId = life[0]?.order.id ?? "";
    expect(await refusal(openAs("ann", id, orderId))).toMatchObject(soon);
    for (const event of life) await handle(event);
    expect(await openAs("ann", id, orderId.toUpperCase())).toMatchObject({ code: CODE });
    expect((await refusal(openAs("eve", id, orderId))).reason).toBe("TICKET_NOT_FOUND");
  });

  it("is told that there is no such ticket, if the order is over or its id is not plausible", async () => {
    const { ticket, orderId } = await sold(["created", "awaiting", "completed", "refunded"]);
    const old = "01890000-0000-7000-8000-000000000000";
    const toCome = "ffffffff-ffff-7000-8000-000000000000";
    for (const named of ["", orderId, old, toCome, crypto.randomUUID()])
      expect((await refusal(openAs("ann", ticket.id, named))).reason).toBe("TICKET_NOT_FOUND");
  });
});

describe("the code and the money", () => {
  it("never go to one buyer both: the first of them wins, and every event says so", async () => {
    const firsts = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("open", "ask"), { minLength: 2, maxLength: 6 }),
        fc.boolean(),
        async (steps, atOnce) => {
          const { ticket, orderId } = await sold();
          let shown = 0;
          const doing = (step: string): Promise<unknown> =>
            step === "ask"
              ? askBack(ticket.id, orderId)
              : open(ticket.id).then(
                  () => (shown += 1),
                  () => undefined,
                );
          if (atOnce) await Promise.all(steps.map(doing));
          else for (const step of steps) await doing(step);
          const words = new Set(await toldOfCode(ticket.id));
          expect(words.size).toBe(1);
          const [word = ""] = words;
          firsts.add(word);
          expect(word === "TicketCodeOpened").toBe(shown > 0);
        },
      ),
      {
        numRuns: cases(30),
        examples: [
          [["open", "ask"], false],
          [["ask", "open"], false],
        ],
      },
    );
    expect(firsts).toEqual(new Set(["TicketCodeOpened", "TicketCodeSealed"]));
  });
});
