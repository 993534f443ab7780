import { redirect } from "@sveltejs/kit";
import { parsePrice } from "#lib/money.ts";
import { describe } from "#lib/refusals.ts";
import { administrator, failed, incomplete } from "#lib/server/answers.ts";
import { patiently } from "#lib/server/patience.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  administrator(event);
  const { locals, url } = event;
  const orderId = url.searchParams.get("order")?.trim() ?? "";
  const page = { orderId, requestId: crypto.randomUUID() };
  if (!orderId) return { ...page, payment: undefined, problem: "" };
  try {
    const { payment } = await locals.api.payments.getPayment({ orderId });
    return { ...page, payment, problem: "" };
  } catch (cause) {
    return { ...page, payment: undefined, problem: describe(cause, locals).message };
  }
};

export const actions: Actions = {
  refund: async (event) => {
    administrator(event);
    const form = await event.request.formData();
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const [orderId, requestId, typed] = [text("orderId"), text("requestId"), text("amount")];
    const amount = typed ? parsePrice(typed, text("currency")) : undefined;
    if (amount && "refused" in amount) return incomplete({ amount: amount.refused }, { typed });
    const request = { orderId, requestId, ...(amount && { amount }) };
    try {
      await patiently(() => event.locals.api.payments.refundPayment(request));
    } catch (cause) {
      return failed(event, cause, { typed });
    }
    redirect(303, `/admin/payments?order=${encodeURIComponent(orderId)}`);
  },
};
