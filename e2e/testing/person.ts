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

/** A signed-in user, with clients that call the edge with the user's access token. */
export interface Person {
  readonly id: string;
  readonly email: string;
  readonly password: string;
  readonly token: string;
  readonly refreshToken: string;
  readonly auth: Client<typeof AuthService>;
  readonly tickets: Client<typeof TicketService>;
  readonly orders: Client<typeof OrderService>;
  readonly payments: Client<typeof PaymentService>;
}

/** Longer than the two seconds of the storefront's retry policy, because the machine may be busy. */
const RETRY_LIMIT_MS = 10_000;

/** The delay that an UNAVAILABLE error asks for; undefined where it asks for none. */
function retryAfterMs(error: unknown): number | undefined {
  if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) return undefined;
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}

/** Retries calls that fail only because an event has not arrived yet. */
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

/** The `outer` interceptors wrap the retries and the authorization. */
export function transportTo(url: string, token?: string, ...outer: Interceptor[]): Transport {
  const authorize: Interceptor = (next) => (req) => {
    if (token) req.header.set("authorization", `Bearer ${token}`);
    return next(req);
  };
  return createConnectTransport({
    baseUrl: url,
    httpVersion: "1.1",
    interceptors: [...outer, retryUnavailable, authorize],
  });
}

export const clients = (transport: Transport) => ({
  auth: createClient(AuthService, transport),
  tickets: createClient(TicketService, transport),
  orders: createClient(OrderService, transport),
  payments: createClient(PaymentService, transport),
});

/** Clients that send no token. */
export const anonymous = (url: string) => clients(transportTo(url));

export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** Starts another session of a user. */
export async function signIn(url: string, { email, password }: Credentials) {
  const request = { email, password, tokenDelivery: TokenDelivery.BODY };
  return required((await anonymous(url).auth.signIn(request)).tokens);
}

/** Creates an account with an address of its own. */
export async function signUp(url: string, name: string): Promise<Person> {
  const credentials = {
    email: `${name}-${crypto.randomUUID()}@example.com`,
    password: crypto.randomUUID(),
  };
  const request = { ...credentials, tokenDelivery: TokenDelivery.BODY };
  const { auth } = anonymous(url);
  const { user, tokens } = await auth.signUp(request).catch((error: unknown) => {
    // The account exists if the response to a previous attempt was lost.
    if (ConnectError.from(error).code !== Code.AlreadyExists) throw error;
    return auth.signIn(request);
  });
  if (!user || !tokens) throw new Error("signed up without a session");
  const { accessToken: token, refreshToken } = tokens;
  return {
    ...credentials,
    ...clients(transportTo(url, token)),
    id: user.id,
    token,
    refreshToken,
  };
}

const required = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("the response is empty");
  return value;
};

/** Lists a ticket at 25.50 EUR. */
export async function listTicket(seller: Person, title = "Front row"): Promise<Ticket> {
  const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };
  const requestId = crypto.randomUUID();
  return required((await seller.tickets.createTicket({ title, price, requestId })).ticket);
}

/** Orders the ticket in the version that the buyer saw. */
export async function buy(buyer: Person, ticket: Ticket): Promise<Order> {
  const request = {
    ticketId: ticket.id,
    ticketVersion: ticket.version,
    requestId: crypto.randomUUID(),
  };
  return required((await buyer.orders.createOrder(request)).order);
}

/** Pays the price of the order with one of Stripe's test tokens. */
export const pay = (buyer: Person, order: Order, token = "tok_visa") =>
  buyer.payments.createPayment({
    orderId: order.id,
    token,
    requestId: crypto.randomUUID(),
    ...(order.price ? { amount: order.price } : {}),
  });

export const fetchOrder = async (buyer: Person, { id }: { id: string }): Promise<Order> =>
  required((await buyer.orders.getOrder({ id })).order);

/** The current ticket. What a reader without a token gets can be a second old. */
export const fetchTicket = async (
  { tickets }: Pick<Person, "tickets">,
  { id }: { id: string },
): Promise<Ticket> => required((await tickets.getTicket({ id })).ticket);

/** The time at which the hold of an order ends. */
export const holdEndOf = (order: Order): Date => timestampDate(required(order.expiresAt));
