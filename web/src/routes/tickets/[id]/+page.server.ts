import { redirect } from "@sveltejs/kit";
import { failed, nextRequestId, refused, signedIn } from "#lib/server/answers.ts";
import { describe } from "#lib/refusals.ts";
import { fromSeen } from "#lib/seen.ts";
import { patiently } from "#lib/server/patience.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  const { locals, params } = event;
  const { ticket } = await locals.api.tickets.getTicket({ id: params.id }).catch(refused(event));
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
  };
};

export const actions: Actions = {
  buy: async (event) => {
    signedIn(event);
    const form = await event.request.formData();
    const requestId = String(form.get("requestId") ?? "");
    const ticketVersion = BigInt(/^\d{1,18}$/.exec(String(form.get("ticketVersion")))?.[0] ?? 0);
    const request = { ticketId: event.params.id, ticketVersion, requestId };
    const made = await patiently(() => event.locals.api.orders.createOrder(request)).catch(
      (cause) => {
        const { reason, metadata } = describe(cause, event.locals);
        if (reason === "ALREADY_HOLDING" && metadata["order_id"])
          redirect(303, `/orders/${encodeURIComponent(metadata["order_id"])}`);
        const hasChanged = reason === "TICKET_CHANGED" || reason === "PRICE_CHANGED";
        const seen = hasChanged ? fromSeen(form.get("seen")) : undefined;
        return failed(event, cause, { requestId: nextRequestId(cause, requestId), seen });
      },
    );
    if ("status" in made) return made;
    redirect(303, `/orders/${made.order!.id}`);
  },
};
