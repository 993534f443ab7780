import { Code } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { RefundRequestedSchema } from "@ticketing/proto/payments/v1/payment_events";
import { TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { ticketEvents } from "../events.ts";
import { orderHistory, testTickets, type OrderEvent, type Step } from "../testing.ts";

const CODE = "open-sesame-7421";
const { client, deps, handle, list, get, recorded } = await testTickets();
const handlers = new Map(ticketEvents(deps).map((each) => [each.type, each]));

/** The buyer of an order requests a refund. */
async function askBack(ticketId: string, orderId: string): Promise<void> {
  const event = create(RefundRequestedSchema, { ticketId, payment: { orderId } });
  await handlers.get(RefundRequestedSchema.typeName)?.handle(event);
}

const price = { currencyCode: "EUR", units: 20n };
const open = async (id: string, user: string): Promise<string> =>
  (await client.openTicketCode({ id }, await as(user))).code;
const edit = async (id: string, code: string | undefined) =>
  client.updateTicket(
    { id, title: "A concert", price, ...(code !== undefined && { code }) },
    await as("seller"),
  );
const relist = async (id: string, code?: string) =>
  client.relistTicket({ id, ...(code !== undefined && { code }) }, await as("seller"));

const BOUGHT: Step[] = ["created", "awaiting", "completed"];
const UNDONE: Step[] = [...BOUGHT, "refunded"];

async function sell(id: string, holdNumber: number, buyer: string, steps = BOUGHT) {
  const life = orderHistory(id, holdNumber, steps, buyer);
  for (const event of life) await handle(event);
  return life[0]?.order.id ?? "";
}

/** A ticket whose first buyer, ann, revealed the code or not, and got a refund. */
async function undone(opened = true): Promise<Ticket> {
  const ticket = await list({ code: CODE });
  const life = orderHistory(ticket.id, 1, UNDONE, "ann");
  for (const event of life.slice(0, 3)) await handle(event);
  if (opened) await open(ticket.id, "ann");
  await handle(life[3] as OrderEvent);
  return get(ticket.id);
}

const seen = { code: Code.FailedPrecondition, reason: "CODE_ALREADY_SEEN" };

describe("a code never outlives its sale", () => {
  it("once its buyer has seen it: a refund removes it, and relisting needs another", async () => {
    const { id } = await undone();
    expect(await get(id)).toMatchObject({ hasCode: false, needsNewCode: true, withdrawn: true });
    expect(await refusal(relist(id))).toMatchObject(seen);
    expect((await get(id)).status).toBe(TicketStatus.WITHDRAWN);
    const stored = await deps.tickets.findById(id).select("+code").lean().orFail();
    expect(JSON.stringify(stored)).not.toContain(CODE);
  });

  it.each(["in relisting", "in an edit before"])(
    "but the next buyer gets a new one, attached %s",
    async (when) => {
      const { id } = await undone();
      if (when === "in relisting") await relist(id, "another");
      else await edit(id, "another").then(() => relist(id));
      expect(await get(id)).toMatchObject({ status: TicketStatus.ON_SALE, needsNewCode: false });
      await sell(id, 2, "bob");
      expect(await open(id, "bob")).toBe("another");
      expect((await refusal(open(id, "ann"))).reason).toBe("TICKET_NOT_FOUND");
    },
  );

  it.each(["in relisting", "in an edit before"])(
    "and none is required if its seller says %s that it has none",
    async (when) => {
      const { id } = await undone();
      if (when === "in relisting") await relist(id, "");
      else await edit(id, "").then(() => relist(id));
      expect(await get(id)).toMatchObject({ status: TicketStatus.ON_SALE, hasCode: false });
      await sell(id, 2, "bob");
      expect((await refusal(open(id, "bob"))).reason).toBe("CODE_NOT_FOUND");
    },
  );

  it.each([CODE, ` ${CODE}\n`])("and cannot be attached again: %j", async (again) => {
    const { id } = await undone();
    expect(await refusal(relist(id, again))).toMatchObject(seen);
    expect(await refusal(edit(id, again))).toMatchObject(seen);
    await relist(id, "");
    expect(await refusal(edit(id, again))).toMatchObject(seen);
    await edit(id, "another");
    expect(await refusal(edit(id, again))).toMatchObject(seen);
  });

  it("also if it was seen in an earlier sale than the last", async () => {
    const { id } = await undone();
    await relist(id, "second");
    const life = orderHistory(id, 2, UNDONE, "bob");
    for (const event of life.slice(0, 3)) await handle(event);
    await open(id, "bob");
    await handle(life[3] as OrderEvent);
    for (const old of [CODE, "second"]) expect(await refusal(relist(id, old))).toMatchObject(seen);
    await relist(id, "third");
    expect((await get(id)).hasCode).toBe(true);
  });

  it("and an edit of something else does not put the ticket back on sale without one", async () => {
    const { id } = await undone();
    await edit(id, undefined);
    expect(await refusal(relist(id))).toMatchObject(seen);
  });

  it("but one that nobody has seen is for the next buyer", async () => {
    const { id } = await undone(false);
    await relist(id);
    await sell(id, 2, "bob");
    expect(await open(id, "bob")).toBe(CODE);
  });

  it("also where the next hold is heard of before the end of the sale", async () => {
    const ticket = await list({ code: CODE });
    const life = orderHistory(ticket.id, 1, UNDONE, "ann");
    for (const event of life.slice(0, 3)) await handle(event);
    await open(ticket.id, "ann");
    await sell(ticket.id, 2, "bob");
    expect((await refusal(open(ticket.id, "bob"))).reason).toBe("CODE_NOT_FOUND");
    await handle(life[3] as OrderEvent);
    expect((await refusal(open(ticket.id, "bob"))).reason).toBe("CODE_NOT_FOUND");
    expect(await get(ticket.id)).toMatchObject({ hasCode: false, withdrawn: true });
  });

  it("in a ticket from before this was kept: what a buyer has opened counts as seen", async () => {
    const { id } = await undone(false);
    const before = {
      $set: { codeOpenedFor: newId() },
      $unset: { codeSeen: 1, seenCodes: 1, sales: 1 },
    } as const;
    await deps.tickets.collection.updateOne({ _id: id as never }, before);
    expect(await refusal(relist(id))).toMatchObject(seen);
    expect(await refusal(edit(id, CODE))).toMatchObject(seen);
    await relist(id, "another");
    expect((await get(id)).status).toBe(TicketStatus.ON_SALE);
  });

  it("and is in no event, nor is its digest", async () => {
    const { id } = await undone();
    const { outbox, seenCodes } = await deps.tickets.findById(id).orFail();
    const said = outbox.map(({ payload }) => payload.toString("latin1")).join();
    for (const secret of [CODE, ...seenCodes]) expect(said).not.toContain(secret);
  });
});

describe("an undone sale heard of twice", () => {
  it("does not take a ticket off the market that its seller has relisted since", async () => {
    const ticket = await list();
    const life = orderHistory(ticket.id, 1, UNDONE);
    for (const event of life) await handle(event);
    await relist(ticket.id);
    for (const event of life) await handle(event);
    expect((await get(ticket.id)).status).toBe(TicketStatus.ON_SALE);
  });
});

describe("the seal of the code", () => {
  it("is for an order of this ticket alone: a stranger's order is not answered for", async () => {
    const ticket = await list({ code: CODE });
    const orderId = await sell(ticket.id, 1, "ann");
    await askBack(ticket.id, orderId);
    await expect(askBack(ticket.id, newId())).rejects.toThrow("is not, or not yet, one of ticket");
    expect((await refusal(open(ticket.id, "ann"))).reason).toBe("CODE_SEALED");
    const sealed = (await recorded(ticket.id)).filter(({ type }) => type === "TicketCodeSealed");
    expect(sealed).toHaveLength(1);
  });

  it("waits for a ticket that has not heard of its order yet", async () => {
    const ticket = await list({ code: CODE });
    const life = orderHistory(ticket.id, 1, BOUGHT, "ann");
    const orderId = life[0]?.order.id ?? "";
    await expect(askBack(ticket.id, orderId)).rejects.toThrow("not yet");
    for (const event of life) await handle(event);
    await askBack(ticket.id, orderId);
    expect((await refusal(open(ticket.id, "ann"))).reason).toBe("CODE_SEALED");
  });

  it("stays, though an earlier buyer's refund request arrives again", async () => {
    const ticket = await list({ code: CODE });
    const first = await sell(ticket.id, 1, "ann", UNDONE);
    await relist(ticket.id);
    const second = await sell(ticket.id, 2, "bob");
    await askBack(ticket.id, second);
    await askBack(ticket.id, first);
    expect((await refusal(open(ticket.id, "bob"))).reason).toBe("CODE_SEALED");
  });
});
