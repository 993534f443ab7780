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
/** So many payments are asked for at once. */
const AT_ONCE = 10;

/** Everything that the marketplace keeps of the caller: all of it, or an error. */
export async function exportAccountData(api: Api): Promise<JsonObject> {
  const pages = await all(api.accounts.exportAccount, (page) => [page]);
  const letters = pages.flatMap((page) => page.letters);
  const account = { ...pages[0]!, letters, nextPageToken: "" };
  const listings = await all(api.tickets.exportTickets, ({ tickets }) => tickets);
  const orders = await all(
    (page) => api.orders.listOrders({ ...page, filter: OrderFilter.ALL }),
    ({ orders }) => orders,
  );
  const payments = await paymentsOf(api, orders);
  const earnings = await api.sellers.getEarnings({});
  const sales = await all(api.sellers.listSales, ({ sales }) => sales);
  const payouts = await all(api.sellers.listPayouts, ({ payouts }) => payouts);
  return {
    account: toJson(ExportAccountResponseSchema, account),
    listings: each(ExportedTicketSchema, listings),
    orders: each(OrderSchema, orders),
    payments: each(PaymentSchema, payments),
    earnings: toJson(GetEarningsResponseSchema, earnings),
    sales: each(SaleSchema, sales),
    payouts: each(PayoutSchema, payouts),
  };
}

const each = <D extends DescMessage>(schema: D, messages: readonly MessageShape<D>[]) =>
  messages.map((message) => toJson(schema, message));

/** The things of all pages of a list. */
async function all<P extends { nextPageToken: string }, T>(
  read: (page: { pageSize: number; pageToken: string }) => Promise<P>,
  thingsOf: (page: P) => T[],
): Promise<T[]> {
  const found: T[] = [];
  let pageToken = "";
  do {
    const page = await read({ pageSize: PAGE_SIZE, pageToken });
    found.push(...thingsOf(page));
    pageToken = page.nextPageToken;
  } while (pageToken);
  return found;
}

async function paymentsOf(api: Api, orders: readonly Order[]): Promise<Payment[]> {
  const found: (Payment | undefined)[] = [];
  for (let from = 0; from < orders.length; from += AT_ONCE) {
    const some = orders.slice(from, from + AT_ONCE);
    found.push(...(await Promise.all(some.map(({ id }) => paymentOf(api, id)))));
  }
  return found.filter((each) => each !== undefined);
}

/** Absent where nothing has been paid; whatever else goes wrong, the export is not whole. */
async function paymentOf(api: Api, orderId: string): Promise<Payment | undefined> {
  try {
    return (await api.payments.getPayment({ orderId })).payment;
  } catch (cause) {
    if (ConnectError.from(cause).code === Code.NotFound) return undefined;
    throw cause;
  }
}
