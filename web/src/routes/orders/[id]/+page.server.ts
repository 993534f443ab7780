import { redirect } from "@sveltejs/kit";
import { OrderStatus, type Order } from "@ticketing/proto/web/orders/v1/order";
import { TicketStatus, type Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { STRIPE_PUBLISHABLE_KEY } from "$app/env/private";
import {
  failForm,
  nextRequestId,
  toErrorPage,
  requireUser,
} from "#lib/server/pages/form-errors.ts";
import { withRetries } from "#lib/server/api/retry-policy.ts";
import { httpUrl } from "#lib/server/pages/http-url.ts";
import type { Actions, PageServerLoad } from "./$types";

/** A payment waits for the bank. */
const PAYMENT_TIMEOUT_MS = 30_000;

/** What Stripe adds to the address on the way back from the bank; one of them is a secret. */
const FROM_THE_BANK = "payment_intent_client_secret";

export const load: PageServerLoad = async (event) => {
  // First of all: whoever has to sign in again would else take the secret along.
  if (event.url.searchParams.has(FROM_THE_BANK)) redirect(303, event.url.pathname);
  requireUser(event);
  const { api } = event.locals;
  const answer = await api.orders.getOrder({ id: event.params.id }).catch(toErrorPage(event));
  const order = answer.order!;
  // The order's page stands without its neighbours: what they cannot say is left out.
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
    code: order.status === OrderStatus.COMPLETED ? codeOf(order, ticket?.ticket) : undefined,
    now: Date.now(),
    requestId: crypto.randomUUID(),
    stripeKey: STRIPE_PUBLISHABLE_KEY,
  };
};

export const actions: Actions = {
  pay: async (event) => {
    requireUser(event);
    const { api } = event.locals;
    const form = await event.request.formData();
    const requestId = String(form.get("requestId") ?? "");
    const token = String(form.get("token") ?? "");
    const orderId = event.params.id;
    try {
      // An order's price never changes: it is the one that the form showed.
      const { order } = await api.orders.getOrder({ id: orderId });
      const request = { orderId, token, requestId, amount: order!.price! };
      await withRetries(() =>
        api.payments.createPayment(request, { timeoutMs: PAYMENT_TIMEOUT_MS }),
      );
    } catch (cause) {
      return failForm(event, cause, { requestId: nextRequestId(cause, requestId), token });
    }
    // Where the bank asks, the page leads there: a form may not be answered by another site's page.
    redirect(303, `/orders/${orderId}`);
  },
  open: async (event) => {
    requireUser(event);
    const { api } = event.locals;
    try {
      const { order } = await api.orders.getOrder({ id: event.params.id });
      const request = { id: order!.ticketId, orderId: order!.id };
      const { code } = await withRetries(() => api.tickets.openTicketCode(request));
      const answer = { message: "", fields: {} as Record<string, string>, reason: "" };
      return { ...answer, requestId: "", token: "", code };
    } catch (cause) {
      return failForm(event, cause, { requestId: "", token: "" });
    }
  },
  giveBack: async (event) => {
    requireUser(event);
    const form = await event.request.formData();
    const requestId = String(form.get("requestId") ?? "");
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
      return failForm(event, cause, { requestId: "", token: "" });
    }
    redirect(303, `/orders/${event.params.id}`);
  },
};

/** Whether there is a code to be opened; "later" while tickets has not heard that the order is paid. */
function codeOf({ id }: Order, ticket: Ticket | undefined): "there" | "none" | "later" {
  if (ticket?.orderId !== id || ticket.status !== TicketStatus.SOLD) return "later";
  return ticket.hasCode ? "there" : "none";
}
