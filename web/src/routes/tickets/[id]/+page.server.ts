import { redirect } from "@sveltejs/kit";
import {
  failForm,
  nextRequestId,
  toErrorPage,
  requireUser,
} from "#lib/server/pages/form-errors.ts";
import { describeError } from "#lib/errors/error-messages.ts";
import { parseTicket } from "#lib/tickets/ticket-changes.ts";
import type { Api } from "#lib/server/api/api.ts";
import { withRetries } from "#lib/server/api/retry-policy.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const { locals, params } = event;
  const { ticket } = await locals.api.tickets
    .getTicket({ id: params.id })
    .catch(toErrorPage(event));
  const { orderId = "", userId = "" } = ticket ?? {};
  // Only its buyer can read the order: an answer means that the visitor is the buyer.
  const own =
    locals.user && orderId
      ? await locals.api.orders.getOrder({ id: orderId }).catch(() => undefined)
      : undefined;
  return {
    ticket: ticket!,
    now: Date.now(),
    isSeller: locals.user?.id === userId,
    ownOrderId: own?.order?.id,
    requestId: crypto.randomUUID(),
    /** Whether the visitor pressed *Buy*, and was asked to sign in first. */
    wasBuying: Boolean(locals.user) && event.url.searchParams.has("buy"),
  };
};

/** Presses *Buy*. The access token may be older than the confirmation of its owner's address. */
async function hold(
  locals: App.Locals,
  user: App.User,
  request: Parameters<Api["orders"]["createOrder"]>[0],
) {
  const { api } = locals;
  const press = () => withRetries(() => api.orders.createOrder(request));
  try {
    return await press();
  } catch (cause) {
    const isStale =
      describeError(cause, locals).reason === "EMAIL_NOT_CONFIRMED" && user.emailConfirmed;
    if (!isStale) throw cause;
    await api.auth.refreshSession({});
    return press();
  }
}

export const actions: Actions = {
  buy: async (event) => {
    // Signing in holds nothing, since a link could lead there: the page asks to press once more.
    const back = `${event.url.pathname}?buy`;
    const user = requireUser(event, back);
    const form = await event.request.formData();
    const requestId = String(form.get("requestId") ?? "");
    const ticketVersion = BigInt(/^\d{1,18}$/.exec(String(form.get("ticketVersion")))?.[0] ?? 0);
    const request = { ticketId: event.params.id, ticketVersion, requestId };
    const made = await hold(event.locals, user, request).catch((cause) => {
      const { reason, metadata } = describeError(cause, event.locals);
      if (reason === "ALREADY_HOLDING" && metadata["order_id"])
        redirect(303, `/orders/${encodeURIComponent(metadata["order_id"])}`);
      const hasChanged = reason === "TICKET_CHANGED" || reason === "PRICE_CHANGED";
      const seen = hasChanged ? parseTicket(form.get("seen")) : undefined;
      return failForm(event, cause, { requestId: nextRequestId(cause, requestId), seen }, back);
    });
    if ("status" in made) return made;
    redirect(303, `/orders/${made.order!.id}`);
  },
};
