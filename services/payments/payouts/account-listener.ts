import type { Log } from "#runtime/log.ts";
import type { WebhookListener } from "../stripe/webhook-inbox.ts";
import { markHandled, type Webhooks } from "../stripe/webhook.ts";
import { refreshAccount, type Seller, type SellerDeps } from "./seller.ts";

interface Deps extends SellerDeps {
  webhooks: Webhooks;
  log: Log;
}

/** Fetches a seller's account after an event of it: events may be late, so Stripe's state decides. */
export function accountListener(deps: Deps): WebhookListener {
  const { sellers, webhooks, log } = deps;

  async function refresh(sellerId: string, eventId: string): Promise<void> {
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
      refresh(sellerId, eventId).catch((error: unknown) => {
        const { message } = error as Error;
        log.warn({ sellerId, err: message }, "a seller's account was not refreshed; retrying");
      });
    },
  };
}
