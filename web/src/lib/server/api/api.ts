import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AccountService } from "@ticketing/proto/web/auth/v1/account_service";
import { AuthService } from "@ticketing/proto/web/auth/v1/auth_service";
import { UserService } from "@ticketing/proto/web/auth/v1/user_service";
import { OrderService } from "@ticketing/proto/web/orders/v1/order_service";
import { PaymentService } from "@ticketing/proto/web/payments/v1/payment_service";
import { SellerService } from "@ticketing/proto/web/payments/v1/seller_service";
import { TicketService } from "@ticketing/proto/web/tickets/v1/ticket_service";
import type { SessionCookies } from "#lib/server/session/session-cookies.ts";

interface RequestContext {
  /** The edge's origin inside the cluster. */
  edgeUrl: string;
  session: SessionCookies;
  /** The browser's address, for the edge's limits. */
  address: string | undefined;
  /** The browser's word for itself, for the list of sessions. */
  userAgent: string | null;
  /** The browser's trace, to be continued. */
  traceparent: string | null;
}

/** The backend on behalf of one visitor, for one request: nothing here outlives it. */
export function createApi(visit: RequestContext) {
  const transport = createConnectTransport({
    baseUrl: visit.edgeUrl,
    defaultTimeoutMs: 5_000,
    fetch: fetchWithSession(visit),
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
 * Cookies go out and come back here, below Connect: its own headers keep only the last of several
 * `Set-Cookie` lines.
 *
 * The edge refuses a change with cookies whose Origin is not the host that was called. Here that host
 * is the edge's name inside the cluster, and fetch sends no other, so Origin says the same. That
 * gives nothing away: SvelteKit has compared the browser's Origin with the site's before any action
 * runs, and a page's load changes nothing (but for renewing the session).
 */
function fetchWithSession({
  edgeUrl,
  session,
  address,
  userAgent,
  traceparent,
}: RequestContext): typeof fetch {
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("origin", edgeUrl);
    if (session.any) headers.set("cookie", session.header);
    if (address) headers.set("x-forwarded-for", address);
    if (userAgent) headers.set("user-agent", userAgent);
    if (traceparent) headers.set("traceparent", traceparent);
    const response = await fetch(input, { ...init, headers });
    // What a refusal means for the session is decided above, by its reason: an error of whatever sort
    // takes no cookie away.
    if (response.ok) session.take(response.headers.getSetCookie());
    return response;
  };
}
