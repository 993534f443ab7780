import type { Connection } from "mongoose";
import type { z } from "zod";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import type { Service } from "#runtime/service.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { connectRedis } from "#runtime/store/redis.ts";
import { balanceModel } from "./balances/balance.ts";
import { cardLimits } from "./checkout/card-limits.ts";
import type { paymentConfig } from "./config.ts";
import { paymentModel } from "./payment-model.ts";
import { payoutModel } from "./payout.ts";
import { sellerModel } from "./payouts/seller.ts";
import { createStripe } from "./stripe/client.ts";
import { stripeAccounts } from "./stripe/payout-accounts.ts";
import { requestPace } from "./stripe/request-pace.ts";
import { stripeWebhook, type WebhookDeps } from "./stripe/webhook-handler.ts";
import { webhookModel } from "./stripe/webhook.ts";

type PaymentConfig = z.infer<typeof paymentConfig>;

/** The collections of payments' database, with their indexes built. */
export async function openModels(db: Connection) {
  const models = {
    payments: paymentModel(db),
    webhooks: webhookModel(db),
    payouts: payoutModel(db),
    sellers: sellerModel(db),
    balances: balanceModel(db),
  };
  await buildIndexes(...Object.values(models));
  return { ...models, banReplica: banReplicaModel(db) };
}

/**
 * The Stripe clients. Work that can wait uses a client with a rate limit of its own, which leaves room
 * within Stripe's limit for buyers and for decided work.
 */
export function stripeClients(config: PaymentConfig) {
  const { STRIPE_KEY: key, STRIPE_API_BASE: base } = config;
  const pace = requestPace(config.STRIPE_POLLS_PER_SECOND);
  const stripe = createStripe(key, base);
  const lowPriorityStripe = createStripe(key, base, pace);
  const publicUrl = config.PUBLIC_URL.replace(/\/$/, "");
  const accountsBy = (client: typeof stripe) =>
    stripeAccounts({ stripe: client, publicUrl, now: Date.now });
  return {
    stripe,
    publicUrl,
    accounts: accountsBy(stripe),
    lowPriority: { stripe: lowPriorityStripe, pace, accounts: accountsBy(lowPriorityStripe) },
  };
}

/** What the rules need of the configuration and of the running service. */
export const settings = (config: PaymentConfig, { log, publish }: Service) => ({
  log,
  publish,
  now: Date.now,
  feeBps: config.FEE_BPS,
  holdDays: config.PAYOUT_HOLD_DAYS,
  methodTypes: config.PAYMENT_METHOD_TYPES.split(","),
});

/** The limits of card attempts, counted in Redis. */
export async function startCardLimits(config: PaymentConfig, service: Service) {
  const redis = await connectRedis(config.REDIS_URI, service.log);
  service.onStop(() => redis.destroy());
  return cardLimits({
    redis,
    perAccountAndHour: config.CARD_TRIES_PER_ACCOUNT_AND_HOUR,
    perAccountAndDay: config.CARD_TRIES_PER_ACCOUNT_AND_DAY,
    perAddressAndHour: config.CARD_REFUSALS_PER_ADDRESS_AND_HOUR,
    perAddressAndDay: config.CARD_REFUSALS_PER_ADDRESS_AND_DAY,
  });
}

/** Stripe's webhooks, signed with any of the configured secrets. */
export function webhookRoute(config: PaymentConfig, deps: Omit<WebhookDeps, "secrets">) {
  const secrets = [...config.STRIPE_WEBHOOK_SECRET, ...config.STRIPE_CONNECT_WEBHOOK_SECRET];
  return { "POST /webhooks/stripe": stripeWebhook({ ...deps, secrets }) };
}
