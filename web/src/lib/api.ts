import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { OrderService } from "@ticketing/proto/web/orders/v1/order_service";
import { TicketService } from "@ticketing/proto/web/tickets/v1/ticket_service";

// The backend as the browser reaches it: this page's own origin, where the edge is, with the cookies
// that no script can read. Pages are loaded and changed through the server (src/lib/server/edge.ts);
// here is only what goes on in an open page.

let transport: Transport | undefined;
const here = () =>
  (transport ??= createConnectTransport({ baseUrl: location.origin, defaultTimeoutMs: 5_000 }));

export const orders = () => createClient(OrderService, here());
export const tickets = () => createClient(TicketService, here());
