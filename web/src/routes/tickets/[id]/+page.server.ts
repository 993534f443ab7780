import { redirect } from "@sveltejs/kit";
import { describeError } from "#lib/errors/error-messages.ts";
import { formValue, versionIn } from "#lib/format/form-text.ts";
import type { Api } from "#lib/server/api/api.ts";
import { withRetries } from "#lib/server/api/retry-policy.ts";
import { requireUser } from "#lib/server/pages/access.ts";
import { failForm, nextRequestId } from "#lib/server/pages/form-errors.ts";
import { toErrorPage } from "#lib/server/pages/load-errors.ts";
import { parseTicket } from "#lib/tickets/serialized-ticket.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const { locals, params } = event;
  const { ticket } = await locals.api.tickets
    .getTicket({ id: params.id })
    .catch(toErrorPage(event));
  const { orderId = "", userId = "" } = ticket ?? {};
  // Only the buyer can read the order, so a response means that the user is the buyer.
  const ownOrder =
    locals.user && orderId
      ? await locals.api.orders.getOrder({ id: orderId }).catch(() => undefined)
      : undefined;
  return {
    ticket: ticket!,
    now: Date.now(),
    isSeller: locals.user?.id === userId,
    ownOrderId: ownOrder?.order?.id,
    requestId: crypto.randomUUID(),
    /** Whether the user pressed *Buy* and was asked to sign in first. */
    wasBuying: Boolean(locals.user) && event.url.searchParams.has("buy"),
  };
};

/** Creates the order. An access token from before the email was confirmed is renewed first. */
async function createOrder(
  locals: App.Locals,
  user: App.User,
  request: Parameters<Api["orders"]["createOrder"]>[0],
) {
  const { api } = locals;
  const create = () => withRetries(() => api.orders.createOrder(request));
  try {
    return await create();
  } catch (cause) {
    const isStale =
      describeError(cause, locals).reason === "EMAIL_NOT_CONFIRMED" && user.emailConfirmed;
    if (!isStale) throw cause;
    await api.auth.refreshSession({});
    return create();
  }
}

export const actions: Actions = {
  buy: async (event) => {
    // Signing in reserves nothing, because any link could lead there: the user presses *Buy* again.
    const returnPath = `${event.url.pathname}?buy`;
    const user = requireUser(event, returnPath);
    const form = await event.request.formData();
    const requestId = formValue(form, "requestId");
    const ticketVersion = versionIn(form, "ticketVersion");
    const request = { ticketId: event.params.id, ticketVersion, requestId };
    const response = await createOrder(event.locals, user, request).catch((cause) => {
      const { reason, metadata } = describeError(cause, event.locals);
      if (reason === "ALREADY_HOLDING" && metadata["order_id"])
        redirect(303, `/orders/${encodeURIComponent(metadata["order_id"])}`);
      const hasChanged = reason === "TICKET_CHANGED" || reason === "PRICE_CHANGED";
      const displayed = hasChanged ? parseTicket(form.get("displayed")) : undefined;
      const values = { requestId: nextRequestId(cause, requestId), displayed };
      return failForm(event, cause, values, returnPath);
    });
    if ("status" in response) return response;
    redirect(303, `/orders/${response.order!.id}`);
  },
};
