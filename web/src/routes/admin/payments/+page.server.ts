import { redirect } from "@sveltejs/kit";
import { parsePrice } from "#lib/format/money.ts";
import { describeError } from "#lib/errors/error-messages.ts";
import {
  requireAdministrator,
  failForm,
  failFields,
  nextRequestId,
} from "#lib/server/pages/form-errors.ts";
import { withRetries } from "#lib/server/api/retry-policy.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  requireAdministrator(event);
  const { locals, url } = event;
  const orderId = url.searchParams.get("order")?.trim() ?? "";
  const refundId = url.searchParams.get("refunded") ?? "";
  const page = { orderId, refundId, requestId: crypto.randomUUID() };
  if (!orderId) return { ...page, payment: undefined, problem: "" };
  try {
    const { payment } = await locals.api.payments.getPayment({ orderId });
    return { ...page, payment, problem: "" };
  } catch (cause) {
    return { ...page, payment: undefined, problem: describeError(cause, locals).message };
  }
};

export const actions: Actions = {
  refund: async (event) => {
    const form = await readForm(event);
    requireAdministrator(event);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const [orderId, requestId, typed] = [text("orderId"), text("requestId"), text("amount")];
    // Nothing typed is no amount: only the button that says so refunds all that is left.
    const amount = form.has("all") ? undefined : parsePrice(typed, text("currency"));
    if (amount && "refused" in amount)
      return failFields({ amount: amount.refused }, { typed, requestId });
    const request = { orderId, requestId, ...(amount && { amount }) };
    const made = await withRetries(() => event.locals.api.payments.refundPayment(request)).catch(
      (cause: unknown) =>
        failForm(event, cause, { typed, requestId: nextRequestId(cause, requestId) }),
    );
    if ("status" in made) return made;
    const refunded = made.refund?.id ?? "";
    redirect(303, `/admin/payments?${new URLSearchParams({ order: orderId, refunded })}`);
  },
};
