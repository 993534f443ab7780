import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { Category, TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { v4 } from "uuid";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderHistory, testTickets, type Step } from "../testing.ts";

const { log, lines } = recordedLog();
const { deps, client, handle, list, get, recorded } = await testTickets({ log });
const seller = await as("seller");
const price = { currencyCode: "EUR", units: 20n };
const tomorrow = timestampFromDate(new Date(Date.now() + 86_400_000));

/** Replaces what a seller may change. */
async function edit({ id }: Ticket, change: object = {}, user = seller): Promise<Ticket> {
  const { ticket } = await client.updateTicket({ id, title: "A concert", price, ...change }, user);
  if (!ticket) throw new Error("no ticket");
  return ticket;
}

/** Takes an order for this ticket through these steps. */
async function order({ id }: Ticket, words: Step[], holdNumber = 1, buyer?: string): Promise<void> {
  for (const event of orderHistory(id, holdNumber, words, buyer)) await handle(event);
}

describe("listing a ticket", () => {
  it("puts it on sale in the caller's name, and records an event", async () => {
    const about = {
      title: "  A match ",
      venue: " Arena ",
      category: Category.SPORT,
      eventTime: tomorrow,
    };
    const ticket = await list(about, "sam");
    expect(ticket).toMatchObject({
      userId: "sam",
      title: "A match",
      venue: "Arena",
      category: Category.SPORT,
      price: { currencyCode: "EUR", units: 20n, nanos: 0 },
      status: TicketStatus.ON_SALE,
      orderId: "",
      version: 1n,
      priceVersion: 1n,
      hasCode: false,
    });
    expect(ticket.eventTime && timestampDate(ticket.eventTime)).toEqual(timestampDate(tomorrow));
    expect(await get(ticket.id)).toEqual(ticket);
    expect(await recorded(ticket.id)).toEqual([{ type: "TicketCreated", ticket }]);
  });

  it.each<[string, object, string]>([
    ["nothing", { units: 0n }, "price MONEY_POSITIVE"],
    ["less than nothing", { units: -1n }, "price MONEY_POSITIVE"],
    ["a negative fraction", { units: 1n, nanos: -1 }, "price MONEY_POSITIVE"],
    ["half a cent", { units: 1n, nanos: 5_000_000 }, "price.nanos"],
    ["less than can be charged", { units: 0n, nanos: 10_000_000 }, "price PRICE_NOT_CHARGEABLE"],
    ["more than can be charged", { units: 1_000_000n }, "price PRICE_NOT_CHARGEABLE"],
    ["more than any number", { units: 2n ** 63n - 1n }, "price.units"],
    ["no currency", { currencyCode: "", units: 1n }, "price MONEY_CURRENCY"],
    ["a currency that is none", { currencyCode: "XXX", units: 1n }, "price.currency_code"],
  ])("is refused for a price of %s", async (_, amount, violation) => {
    const before = await deps.tickets.countDocuments();
    const refused = await refusal(list({ price: { currencyCode: "EUR", ...amount } }));
    expect(refused).toMatchObject({ code: Code.InvalidArgument, violations: [violation] });
    expect(await deps.tickets.countDocuments()).toBe(before);
  });

  it.each(["", "  ", "\t\n", "\u00a0", "\u2003\ufeff"])(
    "is refused for the title %j",
    async (title) => {
      const { code, violations } = await refusal(list({ title }));
      expect(code).toBe(Code.InvalidArgument);
      expect(violations.join()).toContain("title");
    },
  );

  it.each([
    ["that has passed", { seconds: 1n }],
    ["after the year 9999", { seconds: 253_402_300_800n }],
    ["that no calendar has", { seconds: 2n ** 62n }],
    ["with impossible nanoseconds", { seconds: 4_000_000_000n, nanos: 2_000_000_000 }],
    ["with negative nanoseconds", { seconds: 4_000_000_000n, nanos: -1_000_000_000 }],
  ])("is refused for a date %s, or keeps one that can be read", async (_, eventTime) => {
    const made = list({ eventTime });
    const ticket = await made.catch(() => undefined);
    if (!ticket) return expect((await refusal(made)).code).toBe(Code.InvalidArgument);
    const year = (await get(ticket.id)).eventTime;
    expect(year && timestampDate(year).getUTCFullYear()).toBeLessThan(10_000);
  });

  it("is for signed-in users", async () => {
    expect((await refusal(client.createTicket({ title: "x", price }))).code).toBe(
      Code.Unauthenticated,
    );
  });

  it("makes one ticket of a retried request, also when sent at once", async () => {
    const requestId = v4();
    const made = await Promise.all([1, 2, 3].map(() => list({ requestId }, "sam")));
    made.push(await list({ requestId: requestId.toUpperCase() }, "sam"));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(await deps.tickets.countDocuments({ requestId })).toBe(1);
    expect((await list({ requestId }, "tom")).id).not.toBe(made[0]?.id);
    expect(await refusal(list({ requestId, title: "Another" }, "sam"))).toMatchObject({
      code: Code.InvalidArgument,
      reason: "REQUEST_ID_REUSED",
    });
  });
});

describe("editing a ticket", () => {
  it("replaces all that the seller may change: a field that is left out becomes empty", async () => {
    const ticket = await list({ venue: "Arena", category: Category.SPORT, eventTime: tomorrow });
    const edited = await edit(ticket, {
      title: "Other",
      price: { currencyCode: "JPY", units: 500n },
    });
    expect(edited).toMatchObject({
      title: "Other",
      price: { currencyCode: "JPY", units: 500n },
      venue: "",
      category: Category.UNSPECIFIED,
      version: 2n,
      priceVersion: 2n,
    });
    expect(edited.eventTime).toBeUndefined();
    expect((await recorded(ticket.id)).map(({ type }) => type)).toEqual([
      "TicketCreated",
      "TicketUpdated",
    ]);
    expect((await recorded(ticket.id))[1]?.ticket).toEqual(edited);
  });

  it("increases the price version only if the price changes", async () => {
    const ticket = await list();
    expect((await edit(ticket, { title: "Other" })).priceVersion).toBe(1n);
    expect((await edit(ticket, { price: { currencyCode: "EUR", units: 21n } })).priceVersion).toBe(
      3n,
    );
    expect((await edit(ticket, { price: { currencyCode: "USD", units: 21n } })).priceVersion).toBe(
      4n,
    );
  });

  it("is refused to everyone but the seller, by every method", async () => {
    const ticket = await list();
    const eve = await as("eve");
    const refused = { code: Code.PermissionDenied, reason: "NOT_THE_SELLER" };
    expect(await refusal(edit(ticket, {}, eve))).toMatchObject(refused);
    expect(await refusal(client.deleteTicket({ id: ticket.id }, eve))).toMatchObject(refused);
    expect(await refusal(client.relistTicket({ id: ticket.id }, eve))).toMatchObject(refused);
    expect(await get(ticket.id)).toEqual(ticket);
  });

  it("is refused if the seller names an older version", async () => {
    const ticket = await list();
    await edit(ticket, { version: 1n });
    expect(await refusal(edit(ticket, { version: 1n }))).toMatchObject({
      code: Code.Aborted,
      reason: "CHANGED_MEANWHILE",
    });
    expect((await edit(ticket)).version).toBe(3n);
  });

  it("that breaks a rule changes nothing", async () => {
    const ticket = await list();
    for (const change of [
      { title: " " },
      { price: { currencyCode: "EUR" } },
      { eventTime: { seconds: 2n ** 62n } },
    ]) {
      expect((await refusal(edit(ticket, change))).code).toBe(Code.InvalidArgument);
    }
    expect(await get(ticket.id)).toEqual(ticket);
  });

  it("is refused for an unknown ticket", async () => {
    const missing = { ...(await list()), id: newId() };
    const refused = { code: Code.NotFound, reason: "TICKET_NOT_FOUND" };
    expect(await refusal(edit(missing))).toMatchObject(refused);
    expect(await refusal(client.getTicket({ id: missing.id }))).toMatchObject(refused);
    expect(await refusal(client.deleteTicket({ id: missing.id }, seller))).toMatchObject(refused);
  });
});

describe("a held ticket", () => {
  it("cannot be changed, and its seller is told until when (R6)", async () => {
    const ticket = await list();
    await order(ticket, ["created"]);
    const { heldUntil, orderId, status } = await get(ticket.id);
    const until = heldUntil && timestampDate(heldUntil).toISOString();
    expect({ status, held: orderId !== "" }).toEqual({ status: TicketStatus.HELD, held: true });
    const refused = { code: Code.FailedPrecondition, reason: "TICKET_HELD", metadata: { until } };
    for (const call of [
      () => edit(ticket),
      () => client.deleteTicket({ id: ticket.id }, seller),
      () => client.relistTicket({ id: ticket.id }, seller),
    ]) {
      expect(await refusal(call())).toMatchObject(refused);
    }
  });

  it.each(["cancelled", "expired"] as const)("is free again when its order has %s", async (end) => {
    const ticket = await list();
    await order(ticket, ["created", end]);
    const free = await get(ticket.id);
    expect(free).toMatchObject({ status: TicketStatus.ON_SALE, orderId: "", version: 3n });
    expect(free.heldUntil).toBeUndefined();
    expect((await edit(ticket, { title: "Other" })).title).toBe("Other");
  });

  it("that was withdrawn just before the hold is withdrawn after it, and not before", async () => {
    const ticket = await list();
    const [created, cancelled] = orderHistory(ticket.id, 1, ["created", "cancelled"]);
    await client.deleteTicket({ id: ticket.id }, seller);
    if (created) await handle(created);
    expect((await get(ticket.id)).status).toBe(TicketStatus.HELD);
    if (cancelled) await handle(cancelled);
    expect((await get(ticket.id)).status).toBe(TicketStatus.WITHDRAWN);
  });

  it("that was edited just before the hold keeps the edit for later sales", async () => {
    const ticket = await list();
    await edit(ticket, { title: "Dearer", price: { currencyCode: "EUR", units: 90n } });
    await order(ticket, ["created"]);
    expect(await get(ticket.id)).toMatchObject({
      title: "Dearer",
      price: { units: 90n },
      status: TicketStatus.HELD,
    });
  });

  it("records an event when it becomes held, free or sold", async () => {
    const ticket = await list();
    await order(ticket, ["created", "awaiting", "completed"]);
    const heard = await recorded(ticket.id);
    expect(heard.map(({ type }) => type)).toEqual([
      "TicketCreated",
      ...Array<string>(3).fill("TicketUpdated"),
    ]);
    expect(heard.map((each) => each.ticket?.version)).toEqual([1n, 2n, 3n, 4n]);
    expect(heard.map((each) => each.ticket?.status)).toEqual([
      TicketStatus.ON_SALE,
      TicketStatus.HELD,
      TicketStatus.HELD,
      TicketStatus.SOLD,
    ]);
  });
});

describe("a sold ticket", () => {
  it("can no longer be changed", async () => {
    const ticket = await list();
    await order(ticket, ["created", "awaiting", "completed"]);
    const refused = { code: Code.FailedPrecondition, reason: "TICKET_SOLD" };
    expect(await refusal(edit(ticket))).toMatchObject(refused);
    expect(await refusal(client.deleteTicket({ id: ticket.id }, seller))).toMatchObject(refused);
  });

  it("that was refunded stays withdrawn until its seller relists it", async () => {
    const ticket = await list();
    await order(ticket, ["created", "awaiting", "completed", "refunded"]);
    expect(await get(ticket.id)).toMatchObject({ status: TicketStatus.WITHDRAWN, orderId: "" });
    const { ticket: relisted } = await client.relistTicket({ id: ticket.id }, seller);
    expect(relisted?.status).toBe(TicketStatus.ON_SALE);
  });
});

describe("withdrawing and relisting", () => {
  it("succeed again, with one event each", async () => {
    const { id } = await list();
    for (const call of [client.deleteTicket, client.relistTicket]) {
      const { ticket: first } = await call({ id }, seller);
      const { ticket: second } = await call({ id }, seller);
      expect(second).toEqual(first);
    }
    expect((await recorded(id)).map((each) => each.ticket?.status)).toEqual([
      TicketStatus.ON_SALE,
      TicketStatus.WITHDRAWN,
      TicketStatus.ON_SALE,
    ]);
  });

  it("leave the ticket readable by everyone", async () => {
    const { id } = await list();
    await client.deleteTicket({ id }, seller);
    expect((await get(id)).status).toBe(TicketStatus.WITHDRAWN);
  });
});

describe("the ticket's code (R9)", () => {
  const CODE = "open-sesame-7421";
  const codeOf = async (id: string, user: string): Promise<string> =>
    (await client.openTicketCode({ id }, await as(user))).code;
  const hidden = { code: Code.NotFound, reason: "TICKET_NOT_FOUND" };

  it("is shown to the buyer of the completed order alone, and not earlier", async () => {
    const ticket = await list({ code: CODE });
    expect(ticket.hasCode).toBe(true);
    const life = orderHistory(
      ticket.id,
      1,
      ["created", "awaiting", "completed", "refunded"],
      "ann",
    );
    const [refunded] = life.splice(3);
    for (const [step, event] of life.entries()) {
      for (const user of ["seller", "eve"]) {
        expect(await refusal(codeOf(ticket.id, user))).toMatchObject(hidden);
      }
      // Only orders knows whether she has paid meanwhile.
      const buying = step === 0 ? hidden : { code: Code.Unavailable, reason: "NOT_READY" };
      expect(await refusal(codeOf(ticket.id, "ann"))).toMatchObject(buying);
      await handle(event);
    }
    expect(await codeOf(ticket.id, "ann")).toBe(CODE);
    for (const user of ["seller", "eve"]) {
      expect(await refusal(codeOf(ticket.id, user))).toMatchObject(hidden);
    }
    expect((await refusal(client.openTicketCode({ id: ticket.id }))).code).toBe(
      Code.Unauthenticated,
    );
    if (refunded) await handle(refunded);
    expect(await refusal(codeOf(ticket.id, "ann"))).toMatchObject(hidden);
  });

  it("stays when an edit leaves it out, changes when an edit names it, and is removed by an empty one", async () => {
    const kept = await list({ code: CODE });
    await edit(kept, { title: "Other" });
    await order(kept, ["created", "awaiting", "completed"], 1, "ann");
    expect(await codeOf(kept.id, "ann")).toBe(CODE);

    const changed = await list({ code: CODE });
    await edit(changed, { code: "another" });
    await order(changed, ["created", "awaiting", "completed"], 1, "ann");
    expect(await codeOf(changed.id, "ann")).toBe("another");

    const removed = await list({ code: CODE });
    expect((await edit(removed, { code: "" })).hasCode).toBe(false);
    await order(removed, ["created", "awaiting", "completed"], 1, "ann");
    expect(await refusal(codeOf(removed.id, "ann"))).toMatchObject({ reason: "CODE_NOT_FOUND" });
  });

  it("is in no event, in no other response and in no log", async () => {
    const ticket = await list({ code: CODE, requestId: v4() });
    const edited = await edit(ticket, { code: `${CODE}!` });
    await refusal(edit(ticket, { code: CODE, price: { currencyCode: "EUR", units: -1n } }));
    await order(ticket, ["created", "awaiting", "completed"], 1, "ann");
    const { tickets } = await client.listTickets({ availability: 4, sellerId: "" }, seller);
    const said = [ticket, edited, await get(ticket.id), ...tickets, ...lines];
    const text = JSON.stringify(said, (_, value: unknown) =>
      typeof value === "bigint" ? `${value}` : value,
    );
    expect(text).toContain(ticket.id);
    expect(text).not.toContain(CODE);
    const { outbox } = await deps.tickets.findById(ticket.id).orFail();
    expect(outbox).toHaveLength(5);
    for (const { payload } of outbox) expect(payload.includes(CODE)).toBe(false);
    // The code exists, and these bytes are where it could appear.
    expect(await deps.tickets.findOne({ _id: ticket.id, code: `${CODE}!` })).not.toBeNull();
    for (const { payload } of outbox) expect(payload.includes(ticket.id)).toBe(true);
  });
});
