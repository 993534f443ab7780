import { redirect } from "@sveltejs/kit";
import { OrderStatus, type Order } from "@ticketing/proto/web/orders/v1/order";
import { TicketStatus, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { STRIPE_PUBLISHABLE_KEY } from "$app/env/private";
import { formValue } from "#lib/format/form-text.ts";
import { withRetries } from "#lib/server/api/retry-policy.ts";
import { requireUser } from "#lib/server/pages/access.ts";
import { failForm, nextRequestId } from "#lib/server/pages/form-errors.ts";
import { httpUrl } from "#lib/server/pages/http-url.ts";
import { toErrorPage } from "#lib/server/pages/load-errors.ts";
import type { Actions, PageServerLoad } from "./$types";

/** A payment waits for the bank. */
const PAYMENT_TIMEOUT_MS = 30_000;

/** A secret that Stripe adds to the address when the buyer returns from the bank. */
const STRIPE_SECRET_PARAMETER = "payment_intent_client_secret";

export const load: PageServerLoad = async (event) => {
  // Comes first: the redirect to the sign-in page must not carry the secret.
  if (event.url.searchParams.has(STRIPE_SECRET_PARAMETER)) redirect(303, event.url.pathname);
  requireUser(event);
  const { api } = event.locals;
  const response = await api.orders.getOrder({ id: event.params.id }).catch(toErrorPage(event));
  const order = response.order!;
  // The page works without payments and tickets; it leaves out what they would say.
  const [payment, ticket] = await Promise.all([
    api.payments.getPayment({ orderId: order.id }).catch(() => undefined),
    api.tickets.getTicket({ id: order.ticketId }).catch(() => undefined),
  ]);
  return {
    order,
    payment: payment?.payment,
    refundability: payment?.refundability,
    bankUrl: httpUrl(payment?.actionUrl),
    ticket: ticket?.ticket,
    codeState:
      order.status === OrderStatus.COMPLETED ? codeStateOf(order, ticket?.ticket) : undefined,
    now: Date.now(),
    requestId: crypto.randomUUID(),
    stripeKey: STRIPE_PUBLISHABLE_KEY,
  };
};

/** The result of a form without fields. */
const noValues = { requestId: "", token: "" };

export const actions: Actions = {
  pay: async (event) => {
    requireUser(event);
    const { api } = event.locals;
    const form = await event.request.formData();
    const requestId = formValue(form, "requestId");
    const token = formValue(form, "token");
    const orderId = event.params.id;
    try {
      // The price of an order never changes, so it is the price that the form showed.
      const { order } = await api.orders.getOrder({ id: orderId });
      const request = { orderId, token, requestId, amount: order!.price! };
      await withRetries(() =>
        api.payments.createPayment(request, { timeoutMs: PAYMENT_TIMEOUT_MS }),
      );
    } catch (cause) {
      return failForm(event, cause, { requestId: nextRequestId(cause, requestId), token });
    }
    // The page links to the bank if it has to confirm: the form-action policy forbids a redirect there.
    redirect(303, `/orders/${orderId}`);
  },
  revealCode: async (event) => {
    requireUser(event);
    const { api } = event.locals;
    try {
      const { order } = await api.orders.getOrder({ id: event.params.id });
      const request = { id: order!.ticketId, orderId: order!.id };
      const { code } = await withRetries(() => api.tickets.openTicketCode(request));
      const fields: Record<string, string> = {};
      return { message: "", fields, reason: "", ...noValues, code };
    } catch (cause) {
      return failForm(event, cause, noValues);
    }
  },
  refund: async (event) => {
    requireUser(event);
    const form = await event.request.formData();
    const requestId = formValue(form, "requestId");
    const orderId = event.params.id;
    try {
      await withRetries(() => event.locals.api.payments.refundPayment({ orderId, requestId }));
    } catch (cause) {
      return failForm(event, cause, { requestId: nextRequestId(cause, requestId), token: "" });
    }
    redirect(303, `/orders/${orderId}`);
  },
  cancel: async (event) => {
    requireUser(event);
    try {
      await event.locals.api.orders.cancelOrder({ id: event.params.id });
    } catch (cause) {
      return failForm(event, cause, noValues);
    }
    redirect(303, `/orders/${event.params.id}`);
  },
};

/** Whether the ticket has a code; "pending" until tickets has received the event of the paid order. */
function codeStateOf({ id }: Order, ticket: Ticket | undefined): "available" | "none" | "pending" {
  if (ticket?.orderId !== id || ticket.status !== TicketStatus.SOLD) return "pending";
  return ticket.hasCode ? "available" : "none";
}
