import { ClaimsAnsweredSchema } from "@ticketing/proto/payments/v1/payment_events";
import { catalogue } from "#marketplace/catalogue.ts";
import { parseConfig } from "#runtime/config.ts";
import { onSaved } from "#runtime/store/aggregate.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { connectRedis } from "#runtime/store/redis.ts";
import { startService } from "#runtime/service.ts";
import { startPayouts, startReconciliation } from "./operations/background-work.ts";
import { configuredCardLimits, paymentModels, settings, stripeClients } from "./components.ts";
import { paymentConfig } from "./config.ts";
import { claimEvents, orderReplica, paymentEvents } from "./events.ts";
import { accountListener } from "./payouts/account-listener.ts";
import { sellerRoutes } from "./payouts/seller-rpc.ts";
import { paymentRoutes } from "./rpc.ts";
import { paymentListener } from "./settlement/payment-listener.ts";
import { startSettlementWorker } from "./settlement/settlement-worker.ts";
import { stripeWebhook } from "./stripe/webhook-handler.ts";
import { markHandled } from "./stripe/webhook.ts";

const config = parseConfig(paymentConfig, process.env);
const service = await startService("payments", config, catalogue);
const db = await service.database(config.MONGODB_URI);
const { banReplica, ...models } = paymentModels(db);
await buildIndexes(...Object.values(models));
const redis = await connectRedis(config.REDIS_URI, service.log);
service.onStop(() => redis.destroy());

const { lowPriority, lowPriorityAccounts, ...clients } = stripeClients(config);
const cards = configuredCardLimits(config, redis);
const deps = { ...models, ...clients, ...settings(config, service.log), cards, banReplica };
const answer = (claims: { requestId: string; userId: string }) =>
  service.publish(ClaimsAnsweredSchema, claims.userId, claims);

const relay = service.relay(models.payments);
const worker = startSettlementWorker(deps, {
  markHandled: (eventIds) => markHandled(models.webhooks, eventIds),
  lowPriority,
});
// A saved payment is published, and the steps that it decides are executed at Stripe.
onSaved(models.payments, relay.enqueue, worker.enqueue);
service.onStop(() => worker.close());
const listeners = [paymentListener(models.payments, worker), accountListener(deps)];
const replica = service.replica(db, orderReplica(deps));
await service.consume([
  ...paymentEvents(deps),
  ...claimEvents({ ...deps, answer }),
  replica.handler,
]);
startReconciliation(service, { ...deps, listeners, lowPriorityStripe: lowPriority.stripe }, worker);
await replica.untilComplete();
await startPayouts(
  service,
  { ...deps, accounts: lowPriorityAccounts },
  config.PAYOUT_SWEEP_SECONDS,
);
const secrets = [...config.STRIPE_WEBHOOK_SECRET, ...config.STRIPE_CONNECT_WEBHOOK_SECRET];
const routes = [paymentRoutes(deps), sellerRoutes(deps)];
await service.serve({
  routes: (router) => routes.forEach((route) => route(router)),
  rules: await service.tokens(config),
  callTimeoutSeconds: config.BANK_TIMEOUT_SECONDS,
  http: { "POST /webhooks/stripe": stripeWebhook({ ...deps, secrets, listeners }) },
});
await service.untilStopped();
