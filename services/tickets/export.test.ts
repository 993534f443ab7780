import { expect, it } from "vitest";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { orderHistory, testTickets } from "./testing.ts";

const { client, handle, list } = await testTickets();

const pageOf = async (userId: string, pageToken = "", pageSize = 2) =>
  client.exportTickets({ pageSize, pageToken }, await as(userId));

it("a seller exports all of their tickets, with the codes, in pages, and no others", async () => {
  const mine = [];
  for (const code of ["one", "two", "three"]) mine.unshift(await list({ code }, "ann"));
  await client.deleteTicket({ id: mine[0]!.id }, await as("ann"));
  await list({ code: "not Ann's" }, "bob");
  const first = await pageOf("ann");
  const second = await pageOf("ann", first.nextPageToken);
  const found = [...first.tickets, ...second.tickets];
  expect(found.map(({ ticket }) => ticket?.id)).toEqual(mine.map(({ id }) => id));
  expect(found.map(({ code }) => code)).toEqual(["three", "two", "one"]);
  expect(second.nextPageToken).toBe("");
  expect((await pageOf("eve")).tickets).toEqual([]);
  expect(await refusal(pageOf("bob", first.nextPageToken))).toMatchObject({
    violations: ["page_token"],
  });
});

it("says which orders bought a ticket, and which buyer has seen its code", async () => {
  const { id } = await list({ code: "sesame" }, "sam");
  const life = orderHistory(id, 1, ["created", "awaiting", "completed"], "cleo");
  for (const event of life) await handle(event);
  await client.openTicketCode({ id }, await as("cleo"));
  const [exported] = (await pageOf("sam")).tickets;
  const orderId = life[0]!.order.id;
  expect(exported).toMatchObject({ soldToOrderIds: [orderId], codeOpenedOrderId: orderId });
  expect(exported?.codeOpenTime).toBeDefined();
});
