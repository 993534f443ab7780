import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createClient,
  type Client,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AuthService, TokenDelivery } from "@ticketing/proto/auth/v1/auth_service";
import { RetryInfoSchema } from "@ticketing/proto/google/rpc/error_details";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import type { Order } from "@ticketing/proto/orders/v1/order";
import { PaymentService } from "@ticketing/proto/payments/v1/payment_service";
import type { Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";

/** Somebody with an account, and the clients that act in their name, through the edge. */
export interface Person {
  readonly id: string;
  readonly email: string;
  readonly token: string;
  readonly refreshToken: string;
  readonly auth: Client<typeof AuthService>;
  readonly tickets: Client<typeof TicketService>;
  readonly orders: Client<typeof OrderService>;
  readonly payments: Client<typeof PaymentService>;
}

/** Longer than the two seconds of a person's client: the machine of a test may be busy. */
const RETRY_LIMIT_MS = 10_000;

/** When a refusal asks to be tried again, or undefined where it does not. */
function retryAfterMs(error: unknown): number | undefined {
  if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) return undefined;
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}

/** Tries again what was refused only because news had not arrived yet. */
const retryUnavailable: Interceptor = (next) => async (req) => {
  const deadline = Date.now() + RETRY_LIMIT_MS;
  for (;;) {
    try {
      return await next(req);
    } catch (error) {
      const pause = retryAfterMs(error);
      if (pause === undefined || Date.now() + pause > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
};

/** `more` stands around everything else that is done to a call. */
export function transportTo(url: string, token?: string, ...more: Interceptor[]): Transport {
  const bearer: Interceptor = (next) => (req) => {
    if (token) req.header.set("authorization", `Bearer ${token}`);
    return next(req);
  };
  return createConnectTransport({
    baseUrl: url,
    httpVersion: "1.1",
    interceptors: [...more, retryUnavailable, bearer],
  });
}

export const clients = (transport: Transport) => ({
  auth: createClient(AuthService, transport),
  tickets: createClient(TicketService, transport),
  orders: createClient(OrderService, transport),
  payments: createClient(PaymentService, transport),
});

/** Nobody in particular. */
export const anonymous = (url: string) => clients(transportTo(url));

/** Makes an account of its own for a new person. */
export async function signUp(url: string, name: string): Promise<Person> {
  const email = `${name}-${crypto.randomUUID()}@example.com`;
  const password = crypto.randomUUID();
  const request = { email, password, tokenDelivery: TokenDelivery.BODY };
  const { auth } = anonymous(url);
  const { user, tokens } = await auth.signUp(request).catch((error: unknown) => {
    // The answer to a try before was lost on its way.
    if (ConnectError.from(error).code !== Code.AlreadyExists) throw error;
    return auth.signIn(request);
  });
  if (!user || !tokens) throw new Error("signed up without a session");
  const { accessToken: token, refreshToken } = tokens;
  return { id: user.id, email, token, refreshToken, ...clients(transportTo(url, token)) };
}

const required = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("an answer without its content");
  return value;
};

/** Lists a ticket at 25.50 EUR. */
export async function listTicket(seller: Person, title = "Front row"): Promise<Ticket> {
  const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };
  const requestId = crypto.randomUUID();
  return required((await seller.tickets.createTicket({ title, price, requestId })).ticket);
}

/** Presses *Buy* on the ticket as it was seen. */
export async function buy(buyer: Person, ticket: Ticket): Promise<Order> {
  const request = {
    ticketId: ticket.id,
    ticketVersion: ticket.version,
    requestId: crypto.randomUUID(),
  };
  return required((await buyer.orders.createOrder(request)).order);
}

/** Pays with one of Stripe's test tokens what the order says. */
export const pay = (buyer: Person, order: Order, token = "tok_visa") =>
  buyer.payments.createPayment({
    orderId: order.id,
    token,
    requestId: crypto.randomUUID(),
    ...(order.price ? { amount: order.price } : {}),
  });

export const fetchOrder = async (buyer: Person, { id }: { id: string }): Promise<Order> =>
  required((await buyer.orders.getOrder({ id })).order);

export const fetchTicket = async (url: string, { id }: { id: string }): Promise<Ticket> =>
  required((await anonymous(url).tickets.getTicket({ id })).ticket);

/** When the hold of an order ends. */
export const holdEndOf = (order: Order): Date => timestampDate(required(order.expiresAt));
