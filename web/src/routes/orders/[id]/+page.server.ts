import { Code, ConnectError } from "@connectrpc/connect";
import { redirect } from "@sveltejs/kit";
import { OrderStatus, type Order } from "@ticketing/proto/web/orders/v1/order";
import { STRIPE_PUBLISHABLE_KEY } from "$app/env/private";
import { describe } from "#lib/refusals.ts";
import { failed, nextRequestId, refused, signedIn } from "#lib/server/answers.ts";
import type { Api } from "#lib/server/edge.ts";
import { patiently } from "#lib/server/patience.ts";
import type { Actions, PageServerLoad } from "./$types";

/** A payment waits for the bank. */
const PAYMENT_TIMEOUT_MS = 30_000;

export const load: PageServerLoad = async (event) => {
  signedIn(event);
  const { api } = event.locals;
  const answer = await api.orders.getOrder({ id: event.params.id }).catch(refused(event));
  const order = answer.order!;
  // The order's page stands without its neighbours: what they cannot say is left out.
  const [payment, ticket, code] = await Promise.all([
    order.status === OrderStatus.CREATED
      ? api.payments.getPayment({ orderId: order.id }).catch(() => undefined)
      : undefined,
    api.tickets.getTicket({ id: order.ticketId }).catch(() => undefined),
    order.status === OrderStatus.COMPLETED ? codeOf(order, api) : undefined,
  ]);
  return {
    order,
    payment: payment?.payment,
    ticket: ticket?.ticket,
    code,
    now: Date.now(),
    requestId: crypto.randomUUID(),
    stripeKey: STRIPE_PUBLISHABLE_KEY,
  };
};

export const actions: Actions = {
  pay: async (event) => {
    signedIn(event);
    const { api } = event.locals;
    const form = await event.request.formData();
    const requestId = String(form.get("requestId") ?? "");
    const token = String(form.get("token") ?? "");
    const orderId = event.params.id;
    try {
      // An order's price never changes: it is the one that the form showed.
      const { order } = await api.orders.getOrder({ id: orderId });
      const request = { orderId, token, requestId, amount: order!.price! };
      await patiently(() => api.payments.createPayment(request, { timeoutMs: PAYMENT_TIMEOUT_MS }));
    } catch (cause) {
      return failed(event, cause, { requestId: nextRequestId(cause, requestId) });
    }
    redirect(303, `/orders/${orderId}`);
  },
  cancel: async (event) => {
    signedIn(event);
    try {
      await event.locals.api.orders.cancelOrder({ id: event.params.id });
    } catch (cause) {
      return failed(event, cause, { requestId: "" });
    }
    redirect(303, `/orders/${event.params.id}`);
  },
};

/** What opens the door; "later" while tickets has not heard that the order is paid. */
async function codeOf({ ticketId }: Order, api: Api): Promise<{ text: string } | "none" | "later"> {
  try {
    const { code } = await api.tickets.openTicketCode({ id: ticketId });
    return { text: code };
  } catch (cause) {
    const { reason } = describe(cause, { locale: "en", timeZone: "UTC" });
    const isNone = ConnectError.from(cause).code === Code.NotFound && reason === "CODE_NOT_FOUND";
    return isNone ? "none" : "later";
  }
}
