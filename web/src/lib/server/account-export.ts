import { toJson, type DescMessage, type JsonObject, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ExportAccountResponseSchema } from "@ticketing/proto/web/auth/v1/account_service";
import { OrderSchema, type Order } from "@ticketing/proto/web/orders/v1/order";
import { OrderFilter } from "@ticketing/proto/web/orders/v1/order_service";
import { PaymentSchema, type Payment } from "@ticketing/proto/web/payments/v1/payment";
import {
  GetEarningsResponseSchema,
  PayoutSchema,
  SaleSchema,
} from "@ticketing/proto/web/payments/v1/seller_service";
import { ExportedTicketSchema } from "@ticketing/proto/web/tickets/v1/ticket_service";
import type { Api } from "#lib/server/api/api.ts";

const PAGE_SIZE = 100;
/** How many payments are read at the same time. */
const CONCURRENCY = 10;

/** All data that the marketplace stores about the user. Fails as a whole if a part cannot be read. */
export async function exportAccountData(api: Api): Promise<JsonObject> {
  const account = await exportAccount(api);
  const listings = await listAll(api.tickets.exportTickets, ({ tickets }) => tickets);
  const orders = await listAll(
    (page) => api.orders.listOrders({ ...page, filter: OrderFilter.ALL }),
    ({ orders }) => orders,
  );
  const payments = await paymentsOf(api, orders);
  const earnings = await api.sellers.getEarnings({});
  const sales = await listAll(api.sellers.listSales, ({ sales }) => sales);
  const payouts = await listAll(api.sellers.listPayouts, ({ payouts }) => payouts);
  return {
    account: toJson(ExportAccountResponseSchema, account),
    listings: toJsonList(ExportedTicketSchema, listings),
    orders: toJsonList(OrderSchema, orders),
    payments: toJsonList(PaymentSchema, payments),
    earnings: toJson(GetEarningsResponseSchema, earnings),
    sales: toJsonList(SaleSchema, sales),
    payouts: toJsonList(PayoutSchema, payouts),
  };
}

/** The account with the emails (`letters` in the contract) of all pages. */
async function exportAccount(api: Api) {
  const pages = await listAll(api.accounts.exportAccount, (page) => [page]);
  const letters = pages.flatMap((page) => page.letters);
  return { ...pages[0]!, letters, nextPageToken: "" };
}

const toJsonList = <D extends DescMessage>(schema: D, messages: readonly MessageShape<D>[]) =>
  messages.map((message) => toJson(schema, message));

/** The items of all pages of a list. */
async function listAll<P extends { nextPageToken: string }, T>(
  readPage: (page: { pageSize: number; pageToken: string }) => Promise<P>,
  itemsOf: (page: P) => T[],
): Promise<T[]> {
  const items: T[] = [];
  let pageToken = "";
  do {
    const page = await readPage({ pageSize: PAGE_SIZE, pageToken });
    items.push(...itemsOf(page));
    pageToken = page.nextPageToken;
  } while (pageToken);
  return items;
}

async function paymentsOf(api: Api, orders: readonly Order[]): Promise<Payment[]> {
  const payments: (Payment | undefined)[] = [];
  for (let start = 0; start < orders.length; start += CONCURRENCY) {
    const batch = orders.slice(start, start + CONCURRENCY);
    payments.push(...(await Promise.all(batch.map(({ id }) => paymentOf(api, id)))));
  }
  return payments.filter((payment) => payment !== undefined);
}

/** The payment of an order; undefined if nothing has been paid. Any other error fails the export. */
async function paymentOf(api: Api, orderId: string): Promise<Payment | undefined> {
  try {
    return (await api.payments.getPayment({ orderId })).payment;
  } catch (cause) {
    if (ConnectError.from(cause).code === Code.NotFound) return undefined;
    throw cause;
  }
}
