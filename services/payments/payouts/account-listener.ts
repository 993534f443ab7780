import type { Log } from "#runtime/log.ts";
import { lookAtAccount, type Seller, type SellerDeps } from "./seller.ts";
import { handled, type Listener, type Webhooks } from "../stripe/webhooks.ts";

interface Deps extends SellerDeps {
  webhooks: Webhooks;
  log: Log;
}

/** Whether a seller can be paid out has changed; how it is now, only Stripe itself is believed. */
export function sellerListener(deps: Deps): Listener {
  const { sellers, webhooks, log } = deps;

  async function look(sellerId: string, eventId: string): Promise<void> {
    const seller = await sellers.findById(sellerId).lean<Seller>();
    if (seller) await lookAtAccount(deps, seller);
    await handled(webhooks, [eventId]);
  }

  return {
    hears: (type) => type === "account.updated",
    async subjectOf({ id: accountId }) {
      if (!accountId) return undefined;
      const seller = await sellers.findOne({ accountId }, { _id: 1 });
      return seller?._id;
    },
    ask(sellerId, eventId) {
      look(sellerId, eventId).catch((error: unknown) => {
        const { message } = error as Error;
        log.warn({ sellerId, err: message }, "an account was not looked at; it is tried again");
      });
    },
  };
}
