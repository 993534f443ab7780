import { redirect } from "@sveltejs/kit";
import {
  failForm,
  nextRequestId,
  toFirstPageOrError,
  requireUser,
} from "#lib/server/pages/form-errors.ts";
import { withRetries } from "#lib/server/api/retry-policy.ts";
import { httpUrl } from "#lib/server/pages/http-url.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  requireUser(event);
  const { sellers } = event.locals.api;
  const pageToken = event.url.searchParams.get("page") ?? "";
  const [earned, sold, paidOut] = await Promise.all([
    sellers.getEarnings({}),
    sellers.listSales({ pageToken }),
    sellers.listPayouts({ pageSize: 10 }),
  ]).catch(toFirstPageOrError(event));
  return {
    ...{ earnings: earned.earnings, onboarding: earned.onboarding, feeBps: earned.feeBps },
    ...{ sales: sold.sales, pageToken, nextPageToken: sold.nextPageToken },
    payouts: paidOut.payouts,
    isRefunded: event.url.searchParams.get("done") === "refund",
    requestId: crypto.randomUUID(),
    now: Date.now(),
  };
};

/** The answer to a form that is about no single sale. */
const none = { orderId: "", requestId: "" };

export const actions: Actions = {
  onboard: async (event) => {
    requireUser(event);
    try {
      const { url } = await withRetries(() => event.locals.api.sellers.startOnboarding({}));
      // A link, because a form may not be answered by another site's page.
      return { message: "", fields: {}, reason: "", ...none, stripeUrl: httpUrl(url) };
    } catch (cause) {
      return failForm(event, cause, { ...none, stripeUrl: "" });
    }
  },
  refund: async (event) => {
    requireUser(event);
    const form = await event.request.formData();
    const orderId = String(form.get("orderId") ?? "");
    const requestId = String(form.get("requestId") ?? "");
    try {
      await withRetries(() => event.locals.api.payments.refundPayment({ orderId, requestId }));
    } catch (cause) {
      const next = nextRequestId(cause, requestId);
      return failForm(event, cause, { orderId, requestId: next, stripeUrl: "" });
    }
    redirect(303, "/earnings?done=refund");
  },
};
