import { expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { testTickets } from "../testing.ts";

const { client, deps, list } = await testTickets();
const price = { currencyCode: "EUR", units: 20n };
const update = async (id: string, change: object) =>
  client.updateTicket({ id, title: "A concert", price, ...change }, await as("seller"));

it.each(["\u200B", "\u202E", "\u3164", " \u00A0\n"])(
  "no ticket has an invisible title, venue or code: %j",
  async (text) => {
    expect((await refusal(list({ title: text }))).violations).toEqual(["title"]);
    const { id } = await list();
    expect((await refusal(update(id, { title: text }))).violations).toEqual(["title"]);
    if (text.trim() === "") return; // This text is empty.
    for (const field of ["venue", "code"]) {
      expect((await refusal(list({ [field]: text }))).violations).toEqual([field]);
      expect((await refusal(update(id, { [field]: text }))).violations).toEqual([field]);
    }
    const relisted = client.relistTicket({ id, code: text }, await as("seller"));
    expect((await refusal(relisted)).violations).toEqual(["code"]);
  },
);

it("a code is stored as it is displayed: without invisible or reordering characters", async () => {
  const { id } = await list({ code: "AB\u202E321\r\n\tGate\u200B 7\u0000" });
  const { code } = await deps.tickets.findById(id).select("+code").orFail();
  expect(code).toBe("AB321\n\tGate 7");
});

it("title and venue are stored as they are displayed, after listing and after editing", async () => {
  const typed = { title: " Cafe\u0301\n\nPay \u202Eelsewhere ", venue: "Blue\u200B\tHall" };
  const stored = { title: "Caf\u00E9 Pay elsewhere", venue: "Blue Hall" };
  const ticket = await list(typed);
  expect(ticket).toMatchObject(stored);
  expect((await update((await list()).id, typed)).ticket).toMatchObject(stored);
  const { tickets } = await client.listTickets({ query: "cafe\u0301 \u200Bhall" });
  expect(tickets.map(({ id }) => id)).toContain(ticket.id);
});
