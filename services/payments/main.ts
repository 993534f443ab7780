import { ClaimsAnsweredSchema } from "@ticketing/proto/payments/v1/payment_events";
import { catalogue } from "#marketplace/catalogue.ts";
import { parseConfig } from "#runtime/config.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { connectRedis } from "#runtime/store/redis.ts";
import { startService } from "#runtime/service.ts";
import { onSaved } from "#runtime/store/aggregate.ts";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import { balanceModel } from "./balances/balance.ts";
import { cardLimits } from "./checkout/card-limits.ts";
import { paymentConfig } from "./config.ts";
import { markRecentlyMissed, markUnmaterialized } from "./balances/materialization.ts";
import { claimEvents, orderReplica, paymentEvents } from "./events.ts";
import { paymentModel } from "./payment.ts";
import { stripeAccounts } from "./stripe/payout-accounts.ts";
import { payoutModel } from "./payout.ts";
import { payoutWorker } from "./payouts/payout-worker.ts";
import { paymentRoutes } from "./rpc.ts";
import { sellerListener } from "./payouts/account-listener.ts";
import { sellerModel } from "./payouts/seller.ts";
import { sellerRoutes } from "./payouts/seller-rpc.ts";
import { startSettlementWorker } from "./settlement/settlement-worker.ts";
import { createStripe } from "./stripe/client.ts";
import { requestPace } from "./stripe/request-pace.ts";
import { stripeWebhook } from "./stripe/webhook-handler.ts";
import { alarmOnWaitingRefunds } from "./refunds/waiting-refunds.ts";
import { retryUnhandled, readMissedEvents, markHandled, webhookModel } from "./stripe/webhooks.ts";
import { paymentListener } from "./settlement/payment-listener.ts";

const config = parseConfig(paymentConfig, process.env);
const service = await startService("payments", config, catalogue);
const { log } = service;
const db = await service.database(config.MONGODB_URI);
const payments = paymentModel(db);
const webhooks = webhookModel(db);
const payouts = payoutModel(db);
const sellers = sellerModel(db);
const balances = balanceModel(db);
const banReplica = banReplicaModel(db);
// Nothing serves before its indexes stand.
await buildIndexes(payments, webhooks, payouts, sellers, balances);

const stripe = createStripe(config.STRIPE_KEY, config.STRIPE_API_BASE);
// What can wait asks at a pace of its own, so that buyers and what is decided have room.
const pace = requestPace(config.STRIPE_POLLS_PER_SECOND);
const patient = createStripe(config.STRIPE_KEY, config.STRIPE_API_BASE, pace);
const publicUrl = config.PUBLIC_URL.replace(/\/$/, "");
const methodTypes = config.PAYMENT_METHOD_TYPES.split(",");
const { FEE_BPS: feeBps, PAYOUT_HOLD_DAYS: holdDays } = config;
const common = { payments, stripe, log, now: Date.now, feeBps, holdDays };
const redis = await connectRedis(config.REDIS_URI, log);
service.onStop(() => redis.destroy());
const cards = cardLimits({
  redis,
  perAccountAndHour: config.CARD_TRIES_PER_ACCOUNT_AND_HOUR,
  perAccountAndDay: config.CARD_TRIES_PER_ACCOUNT_AND_DAY,
  perAddressAndHour: config.CARD_REFUSALS_PER_ADDRESS_AND_HOUR,
  perAddressAndDay: config.CARD_REFUSALS_PER_ADDRESS_AND_DAY,
});
const deps = { ...common, publicUrl, methodTypes, cards };
const accounts = stripeAccounts({ stripe, publicUrl, now: Date.now });
const patientAccounts = stripeAccounts({ stripe: patient, publicUrl, now: Date.now });
const sellerDeps = { ...common, payouts, sellers, balances, banReplica, accounts };

const relay = service.relay(payments);
const settler = startSettlementWorker(deps, {
  markHandled: (ids) => markHandled(webhooks, ids),
  lowPriority: { stripe: patient, pace },
});
// A saved payment is published, and what it decides is done at Stripe.
onSaved(payments, relay.enqueue, settler.enqueue);
const listeners = [paymentListener(payments, settler), sellerListener({ ...sellerDeps, webhooks })];
service.onStop(() => settler.close());
const copies = service.replica(db, orderReplica(deps));
const claims = claimEvents({
  ...sellerDeps,
  answer: (answer) => service.publish(ClaimsAnsweredSchema, answer.userId, answer),
});
await service.consume([...paymentEvents({ payments, banReplica }), ...claims, copies.handler]);
service.every(60, "reconciling with Stripe", async () => {
  await retryUnhandled({ webhooks, listeners });
  await settler.reconcile();
});
service.every(60, "looking for refunds that wait", alarmOnWaitingRefunds(deps));
const watch = readMissedEvents({ stripe: patient, webhooks, listeners, now: Date.now });
service.every(3_600, "catching up with Stripe's events", watch);
await copies.untilComplete();
await markUnmaterialized(sellerDeps);
service.every(600, "marking what was left uncounted", () => markRecentlyMissed(sellerDeps));
const worker = payoutWorker({ ...sellerDeps, accounts: patientAccounts });
service.every(config.PAYOUT_SWEEP_SECONDS, "paying sellers out", () => worker.sweep());
service.onStop(() => worker.stop());
const secrets = [...config.STRIPE_WEBHOOK_SECRET, ...config.STRIPE_CONNECT_WEBHOOK_SECRET];
const routes = [paymentRoutes({ ...deps, payouts, balances }), sellerRoutes(sellerDeps)];
await service.serve({
  routes: (router) => routes.forEach((route) => route(router)),
  rules: await service.tokens(config),
  callTimeoutSeconds: config.BANK_TIMEOUT_SECONDS,
  http: { "POST /webhooks/stripe": stripeWebhook({ webhooks, stripe, secrets, listeners, log }) },
});
await service.untilStopped();
