import { redirect } from "@sveltejs/kit";
import { describeError } from "#lib/errors/error-messages.ts";
import { formValue } from "#lib/format/form-text.ts";
import { parsePrice } from "#lib/format/money.ts";
import { withRetries } from "#lib/server/api/retry-policy.ts";
import { requireAdministrator } from "#lib/server/pages/access.ts";
import { failFields, failForm, nextRequestId } from "#lib/server/pages/form-errors.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  requireAdministrator(event);
  const { locals, url } = event;
  const orderId = url.searchParams.get("order")?.trim() ?? "";
  const refundId = url.searchParams.get("refunded") ?? "";
  const page = { orderId, refundId, requestId: crypto.randomUUID() };
  if (!orderId) return { ...page, payment: undefined, error: "" };
  try {
    const { payment } = await locals.api.payments.getPayment({ orderId });
    return { ...page, payment, error: "" };
  } catch (cause) {
    return { ...page, payment: undefined, error: describeError(cause, locals).message };
  }
};

export const actions: Actions = {
  refund: async (event) => {
    const form = await readForm(event);
    requireAdministrator(event);
    const text = (name: string) => formValue(form, name).trim();
    const orderId = text("orderId");
    const requestId = text("requestId");
    const typedAmount = text("amount");
    // An empty amount is an error: only the button for a full refund refunds everything.
    const amount = form.has("all") ? undefined : parsePrice(typedAmount, text("currency"));
    if (amount && "error" in amount)
      return failFields({ amount: amount.error }, { typedAmount, requestId });
    const request = { orderId, requestId, ...(amount && { amount }) };
    const response = await withRetries(() =>
      event.locals.api.payments.refundPayment(request),
    ).catch((cause: unknown) =>
      failForm(event, cause, { typedAmount, requestId: nextRequestId(cause, requestId) }),
    );
    if ("status" in response) return response;
    const refunded = response.refund?.id ?? "";
    redirect(303, `/admin/payments?${new URLSearchParams({ order: orderId, refunded })}`);
  },
};
