import { toJson, type JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ExportAccountResponseSchema } from "@ticketing/proto/web/auth/v1/account_service";
import { OrderSchema, type Order } from "@ticketing/proto/web/orders/v1/order";
import { OrderFilter } from "@ticketing/proto/web/orders/v1/order_service";
import { PaymentSchema, type Payment } from "@ticketing/proto/web/payments/v1/payment";
import { TicketSchema, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { TicketAvailability } from "@ticketing/proto/web/tickets/v1/ticket_service";
import type { Api } from "./edge.ts";

const PAGE_SIZE = 100;
/** So many payments are asked for at once. */
const AT_ONCE = 10;

/** Everything that the marketplace keeps of the caller: all of it, or an error. */
export async function exportData(api: Api, userId: string): Promise<JsonObject> {
  const account = await api.accounts.exportAccount({});
  const mine = { sellerId: userId, availability: TicketAvailability.ANY, pageSize: PAGE_SIZE };
  const listings = await all<Ticket>(async (pageToken) => {
    const { tickets, nextPageToken } = await api.tickets.listTickets({ ...mine, pageToken });
    return [tickets, nextPageToken];
  });
  const orders = await all<Order>(async (pageToken) => {
    const request = { filter: OrderFilter.ALL, pageSize: PAGE_SIZE, pageToken };
    const { orders: page, nextPageToken } = await api.orders.listOrders(request);
    return [page, nextPageToken];
  });
  const payments = await paymentsOf(api, orders);
  return {
    account: toJson(ExportAccountResponseSchema, account),
    listings: listings.map((each) => toJson(TicketSchema, each)),
    orders: orders.map((each) => toJson(OrderSchema, each)),
    payments: payments.map((each) => toJson(PaymentSchema, each)),
  };
}

/** The things of all pages of a list. */
async function all<T>(read: (pageToken: string) => Promise<[T[], string]>): Promise<T[]> {
  const found: T[] = [];
  let token = "";
  do {
    const [page, next] = await read(token);
    found.push(...page);
    token = next;
  } while (token);
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
