import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AccountService } from "@ticketing/proto/web/auth/v1/account_service";
import { AuthService } from "@ticketing/proto/web/auth/v1/auth_service";
import { UserService } from "@ticketing/proto/web/auth/v1/user_service";
import { OrderService } from "@ticketing/proto/web/orders/v1/order_service";
import { PaymentService } from "@ticketing/proto/web/payments/v1/payment_service";
import { SellerService } from "@ticketing/proto/web/payments/v1/seller_service";
import { TicketService } from "@ticketing/proto/web/tickets/v1/ticket_service";

const CALL_TIMEOUT_MS = 5_000;

/** The session's cookies, as calls send and receive them. */
interface Session {
  readonly isPresent: boolean;
  readonly cookieHeader: string;
  applySetCookies(lines: readonly string[]): void;
}

/** What the calls pass on from the browser's request. */
interface RequestContext {
  /** The edge's origin inside the cluster. */
  edgeUrl: string;
  session: Session;
  /** The browser's address, for the edge's rate limits. */
  clientAddress: string | undefined;
  /** The browser's user agent, for the list of sessions. */
  userAgent: string | null;
  /** The browser's trace, to be continued. */
  traceparent: string | null;
}

/** The backend's clients for one request; nothing here is shared between requests. */
export function createApi(context: RequestContext) {
  const transport = createConnectTransport({
    baseUrl: context.edgeUrl,
    defaultTimeoutMs: CALL_TIMEOUT_MS,
    fetch: fetchWithSession(context),
  });
  return {
    auth: createClient(AuthService, transport),
    accounts: createClient(AccountService, transport),
    users: createClient(UserService, transport),
    tickets: createClient(TicketService, transport),
    orders: createClient(OrderService, transport),
    payments: createClient(PaymentService, transport),
    sellers: createClient(SellerService, transport),
  };
}

export type Api = ReturnType<typeof createApi>;

/**
 * Sends and receives cookies below Connect, whose headers keep only the last of several `Set-Cookie`
 * lines.
 *
 * The edge refuses a change with cookies whose Origin is not the host that was called. Here that host is
 * the edge's name inside the cluster, so Origin is set to it. This weakens nothing: SvelteKit has compared
 * the browser's Origin with the site's before any action runs, and a page's load changes nothing (except
 * that it renews the session).
 */
function fetchWithSession(context: RequestContext): typeof fetch {
  const { edgeUrl, session, clientAddress, userAgent, traceparent } = context;
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("origin", edgeUrl);
    if (session.isPresent) headers.set("cookie", session.cookieHeader);
    if (clientAddress) headers.set("x-forwarded-for", clientAddress);
    if (userAgent) headers.set("user-agent", userAgent);
    if (traceparent) headers.set("traceparent", traceparent);
    const response = await fetch(input, { ...init, headers });
    // An error response deletes no cookie: request-session.ts decides by the error's reason what it means
    // for the session.
    if (response.ok) session.applySetCookies(response.headers.getSetCookie());
    return response;
  };
}
