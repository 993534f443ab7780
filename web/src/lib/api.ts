import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { OrderService } from "@ticketing/proto/web/orders/v1/order_service";
import { TicketService } from "@ticketing/proto/web/tickets/v1/ticket_service";

// The backend's clients in the browser. They call the page's own origin, where the edge is, with cookies
// that no script can read. Pages load and change data through the server (src/lib/server/api); these clients
// are for updates within an open page.

const CALL_TIMEOUT_MS = 5_000;

let transport: Transport | undefined;
const browserTransport = () =>
  (transport ??= createConnectTransport({
    baseUrl: location.origin,
    defaultTimeoutMs: CALL_TIMEOUT_MS,
  }));

export const orders = () => createClient(OrderService, browserTransport());
export const tickets = () => createClient(TicketService, browserTransport());
