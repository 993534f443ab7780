import type { Log } from "#runtime/log.ts";
import { refreshAccount, type Seller, type SellerDeps } from "./seller.ts";
import { markHandled, type WebhookListener, type Webhooks } from "../stripe/webhooks.ts";

interface Deps extends SellerDeps {
  webhooks: Webhooks;
  log: Log;
}

/** Whether a seller can be paid out has changed; how it is now, only Stripe itself is believed. */
export function sellerListener(deps: Deps): WebhookListener {
  const { sellers, webhooks, log } = deps;

  async function look(sellerId: string, eventId: string): Promise<void> {
    const seller = await sellers.findById(sellerId).lean<Seller>();
    if (seller) await refreshAccount(deps, seller);
    await markHandled(webhooks, [eventId]);
  }

  return {
    accepts: (type) => type === "account.updated",
    async subjectOf({ id: accountId }) {
      if (!accountId) return undefined;
      const seller = await sellers.findOne({ accountId }, { _id: 1 });
      return seller?._id;
    },
    enqueue(sellerId, eventId) {
      look(sellerId, eventId).catch((error: unknown) => {
        const { message } = error as Error;
        log.warn({ sellerId, err: message }, "an account was not looked at; it is tried again");
      });
    },
  };
}
