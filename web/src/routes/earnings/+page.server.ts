import { redirect } from "@sveltejs/kit";
import { failed, refused, signedIn } from "#lib/server/answers.ts";
import { patiently } from "#lib/server/patience.ts";
import { webAddress } from "#lib/server/web-address.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = async (event) => {
  signedIn(event);
  const { sellers } = event.locals.api;
  const pageToken = event.url.searchParams.get("page") ?? "";
  const [earned, sold, paidOut] = await Promise.all([
    sellers.getEarnings({}),
    sellers.listSales({ pageToken }),
    sellers.listPayouts({ pageSize: 10 }),
  ]).catch(refused(event));
  return {
    ...{ earnings: earned.earnings, onboarding: earned.onboarding, feeBps: earned.feeBps },
    ...{ sales: sold.sales, pageToken, nextPageToken: sold.nextPageToken },
    payouts: paidOut.payouts,
    requestId: crypto.randomUUID(),
    now: Date.now(),
  };
};

export const actions: Actions = {
  onboard: async (event) => {
    signedIn(event);
    try {
      const { url } = await patiently(() => event.locals.api.sellers.startOnboarding({}));
      // A link, because a form may not be answered by another site's page.
      return { message: "", fields: {}, reason: "", orderId: "", stripeUrl: webAddress(url) };
    } catch (cause) {
      return failed(event, cause, { orderId: "", stripeUrl: "" });
    }
  },
  refund: async (event) => {
    signedIn(event);
    const form = await event.request.formData();
    const [orderId, requestId] = ["orderId", "requestId"].map((name) =>
      String(form.get(name) ?? ""),
    );
    try {
      await patiently(() => event.locals.api.payments.refundPayment({ orderId, requestId }));
    } catch (cause) {
      return failed(event, cause, { orderId: orderId ?? "", stripeUrl: "" });
    }
    redirect(303, "/earnings");
  },
};
