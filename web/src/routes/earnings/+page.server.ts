import { redirect } from "@sveltejs/kit";
import { formValue } from "#lib/format/form-text.ts";
import { withRetries } from "#lib/server/api/retry-policy.ts";
import { requireUser } from "#lib/server/pages/access.ts";
import { failForm, nextRequestId } from "#lib/server/pages/form-errors.ts";
import { httpUrl } from "#lib/server/pages/http-url.ts";
import { toFirstPageOrError } from "#lib/server/pages/load-errors.ts";
import type { Actions, PageServerLoad } from "./$types";

const PAYOUTS_SHOWN = 10;

export const load: PageServerLoad = async (event) => {
  requireUser(event);
  const { sellers } = event.locals.api;
  const pageToken = event.url.searchParams.get("page") ?? "";
  const [{ earnings, onboarding, feeBps }, { sales, nextPageToken }, { payouts }] =
    await Promise.all([
      sellers.getEarnings({}),
      sellers.listSales({ pageToken }),
      sellers.listPayouts({ pageSize: PAYOUTS_SHOWN }),
    ]).catch(toFirstPageOrError(event));
  return {
    earnings,
    onboarding,
    feeBps,
    sales,
    pageToken,
    nextPageToken,
    payouts,
    isRefunded: event.url.searchParams.get("done") === "refund",
    requestId: crypto.randomUUID(),
    now: Date.now(),
  };
};

/** The result of a form that does not belong to a sale. */
const noSale = { orderId: "", requestId: "" };

export const actions: Actions = {
  onboard: async (event) => {
    requireUser(event);
    try {
      const { url } = await withRetries(() => event.locals.api.sellers.startOnboarding({}));
      // A link and no redirect: the form-action policy forbids a redirect to another site.
      return { message: "", fields: {}, reason: "", ...noSale, stripeUrl: httpUrl(url) };
    } catch (cause) {
      return failForm(event, cause, { ...noSale, stripeUrl: "" });
    }
  },
  refund: async (event) => {
    requireUser(event);
    const form = await event.request.formData();
    const orderId = formValue(form, "orderId");
    const requestId = formValue(form, "requestId");
    try {
      await withRetries(() => event.locals.api.payments.refundPayment({ orderId, requestId }));
    } catch (cause) {
      const next = nextRequestId(cause, requestId);
      return failForm(event, cause, { orderId, requestId: next, stripeUrl: "" });
    }
    redirect(303, "/earnings?done=refund");
  },
};
