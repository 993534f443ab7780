import { catalogue } from "#marketplace/catalogue.ts";
import { parseConfig } from "#runtime/config.ts";
import { onSaved } from "#runtime/store/aggregate.ts";
import { startService } from "#runtime/service.ts";
import {
  startPayouts,
  startReconciliation,
  startSettlement,
} from "./operations/background-work.ts";
import {
  openModels,
  settings,
  startCardLimits,
  stripeClients,
  webhookRoute,
} from "./components.ts";
import { paymentConfig } from "./config.ts";
import { claimEvents, orderReplica, paymentEvents } from "./events.ts";
import { accountListener } from "./payouts/account-listener.ts";
import { allRoutes } from "./rpc.ts";
import { paymentListener } from "./settlement/payment-listener.ts";

const config = parseConfig(paymentConfig, process.env);
const service = await startService("payments", config, catalogue);
const db = await service.database(config.MONGODB_URI);
const models = await openModels(db);
const { lowPriority, ...clients } = stripeClients(config);
const cards = await startCardLimits(config, service);
const deps = { ...models, ...clients, ...settings(config, service), cards };

const worker = startSettlement(service, deps, lowPriority);
// A saved payment is published, and the steps that it decides are taken at Stripe.
onSaved(deps.payments, service.relay(deps.payments).enqueue, worker.enqueue);
const listeners = [paymentListener(deps.payments, worker), accountListener(deps)];
const replica = service.replica(db, orderReplica(deps));
await service.consume([...paymentEvents(deps), ...claimEvents(deps), replica.handler]);
startReconciliation(service, { ...deps, listeners, lowPriorityStripe: lowPriority.stripe }, worker);
await replica.untilComplete();
await startPayouts(service, { ...deps, accounts: lowPriority.accounts }, config);
await service.serve({
  routes: allRoutes(deps),
  rules: await service.tokens(config),
  callTimeoutSeconds: config.BANK_TIMEOUT_SECONDS,
  http: webhookRoute(config, { ...deps, listeners }),
});
await service.untilStopped();
