import { Code } from "@connectrpc/connect";
import { OrderFilter } from "@ticketing/proto/orders/v1/order_service";
import {
  ChargeCreatedSchema,
  PaymentAuthorizedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { describe, expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { paymentMessage, testOrders } from "./testing.ts";

const { client, handle, ticket, buy } = await testOrders({ maxOpenOrders: 1000 });

/** Orders of one buyer, newest first. */
async function bought(buyer: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i += 1) ids.unshift((await buy(await ticket(), buyer)).id);
  return ids;
}

/** All pages of a list; `between` runs after each. */
async function pages(
  buyer: string,
  request: { pageSize?: number; filter?: OrderFilter },
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<string[][]> {
  const found: string[][] = [];
  for (let pageToken = ""; found.length === 0 || pageToken !== "";) {
    const page = await client.listOrders({ ...request, pageToken }, await as(buyer));
    found.push(page.orders.map(({ id }) => id));
    pageToken = page.nextPageToken;
    await between();
  }
  return found;
}

describe("the list of a user's orders", () => {
  it("has the active ones, the past ones, or all, newest first, and only their own", async () => {
    const buyer = newId();
    await bought(newId(), 2);
    const [paid, paying, cancelled, created] = (await bought(buyer, 4)).toReversed() as [
      string,
      string,
      string,
      string,
    ];
    await client.cancelOrder({ id: cancelled }, await as(buyer));
    for (const id of [paid, paying]) await handle(PaymentAuthorizedSchema, paymentMessage(id, "a"));
    await handle(ChargeCreatedSchema, paymentMessage(paid, "a"));
    const list = (filter: OrderFilter): Promise<string[][]> => pages(buyer, { filter });
    expect(await list(OrderFilter.UNSPECIFIED)).toEqual([[created, paying]]);
    expect(await list(OrderFilter.ACTIVE)).toEqual([[created, paying]]);
    expect(await list(OrderFilter.PAST)).toEqual([[cancelled, paid]]);
    expect(await list(OrderFilter.ALL)).toEqual([[created, cancelled, paying, paid]]);
    expect(await pages(newId(), {})).toEqual([[]]);
  });

  it("comes in pages that have each order once, whatever is bought and cancelled meanwhile", async () => {
    const buyer = newId();
    const before = await bought(buyer, 23);
    const found = await pages(buyer, { pageSize: 5, filter: OrderFilter.ALL }, async () => {
      const [added] = await bought(buyer, 1);
      await client.cancelOrder({ id: added ?? "" }, await as(buyer));
      await client.cancelOrder({ id: before[11] ?? "" }, await as(buyer));
    });
    expect(found.map(({ length }) => length)).toEqual([5, 5, 5, 5, 3]);
    expect(found.flat()).toEqual(before);
  });

  it("ends without an empty page when the last one is full", async () => {
    const buyer = newId();
    const before = await bought(buyer, 6);
    expect(await pages(buyer, { pageSize: 3 })).toEqual([before.slice(0, 3), before.slice(3)]);
  });

  it("has 20 orders to a page by default", async () => {
    const buyer = newId();
    await bought(buyer, 21);
    expect((await pages(buyer, {})).map(({ length }) => length)).toEqual([20, 1]);
  });

  it("continues only with a page token of the same user and the same list", async () => {
    const buyer = newId();
    await bought(buyer, 3);
    const request = { pageSize: 2, filter: OrderFilter.ALL };
    const { nextPageToken: pageToken } = await client.listOrders(request, await as(buyer));
    const wrong = { code: Code.InvalidArgument, violations: ["page_token"] };
    const active = { pageToken, filter: OrderFilter.ACTIVE };
    expect(await refusal(client.listOrders(active, await as(buyer)))).toMatchObject(wrong);
    const theirs = client.listOrders({ ...request, pageToken }, await as(newId()));
    expect(await refusal(theirs)).toMatchObject(wrong);
  });
});
