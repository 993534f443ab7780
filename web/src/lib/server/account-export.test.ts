import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ExportAccountResponseSchema } from "@ticketing/proto/web/auth/v1/account_service";
import { OrderSchema } from "@ticketing/proto/web/orders/v1/order";
import { OrderFilter } from "@ticketing/proto/web/orders/v1/order_service";
import { PaymentSchema } from "@ticketing/proto/web/payments/v1/payment";
import {
  GetEarningsResponseSchema,
  PayoutSchema,
  SaleSchema,
} from "@ticketing/proto/web/payments/v1/seller_service";
import { ExportedTicketSchema } from "@ticketing/proto/web/tickets/v1/ticket_service";
import { expect, it, vi } from "vitest";
import type { Api } from "#lib/server/api/api.ts";
import { exportAccountData } from "./account-export.ts";

/** A list with one item on each page. */
const onePerPage =
  <T>(name: string, items: T[]) =>
  async ({ pageToken }: { pageToken: string }) => {
    const at = Number(pageToken || 0);
    return { [name]: items.slice(at, at + 1), nextPageToken: items[at + 1] ? `${at + 1}` : "" };
  };

function fakeApi(orderCount: number) {
  const orders = Array.from({ length: orderCount }, (_, at) =>
    create(OrderSchema, { id: `order-${at}` }),
  );
  const tickets = ["a", "b", "c"].map((id) =>
    create(ExportedTicketSchema, { ticket: { id, version: 7n }, code: `code-${id}` }),
  );
  const sales = ["s", "t"].map((orderId) => create(SaleSchema, { payment: { orderId } }));
  const payouts = ["p", "q"].map((id) => create(PayoutSchema, { id }));
  const parts = {
    exportAccount: vi.fn(async () =>
      create(ExportAccountResponseSchema, { user: { id: "user-1", email: "a@example.com" } }),
    ),
    exportTickets: vi.fn(onePerPage("tickets", tickets)),
    listSales: vi.fn(onePerPage("sales", sales)),
    listPayouts: vi.fn(onePerPage("payouts", payouts)),
    getEarnings: vi.fn(async () => create(GetEarningsResponseSchema, { feeBps: 500 })),
    listOrders: vi.fn(onePerPage("orders", orders)),
    getPayment: vi.fn(async ({ orderId }: { orderId: string }) => {
      if (orderId === "order-1") throw new ConnectError("none", Code.NotFound);
      return { payment: create(PaymentSchema, { orderId }) };
    }),
  };
  const { exportAccount, exportTickets, listOrders, getPayment, ...seller } = parts;
  const api = {
    accounts: { exportAccount },
    tickets: { exportTickets },
    sellers: seller,
    orders: { listOrders },
    payments: { getPayment },
  } as unknown as Api;
  return { api, ...parts };
}

it("contains every page of the user's data and every payment that was made", async () => {
  const { api, listOrders } = fakeApi(23);
  const data = JSON.parse(JSON.stringify(await exportAccountData(api)));
  expect(data.account.user.email).toBe("a@example.com");
  expect(data.listings.map(({ code }: { code: string }) => code)).toEqual([
    "code-a",
    "code-b",
    "code-c",
  ]);
  expect(data.orders).toHaveLength(23);
  expect(data.payments).toHaveLength(22);
  expect(data.sales).toHaveLength(2);
  expect(data.payouts).toHaveLength(2);
  expect(data.earnings.feeBps).toBe(500);
  for (const [request] of listOrders.mock.calls)
    expect(request).toMatchObject({ filter: OrderFilter.ALL });
});

it("fails as a whole when a part cannot be read", async () => {
  const { api, getPayment } = fakeApi(3);
  getPayment.mockRejectedValue(new ConnectError("down", Code.Unavailable));
  await expect(exportAccountData(api)).rejects.toThrow("down");
});
