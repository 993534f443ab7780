import { catalogue } from "#marketplace/catalogue.ts";
import { parseConfig } from "#runtime/config.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import { startService } from "#runtime/service.ts";
import { onSaved } from "#runtime/store/aggregate.ts";
import { holdSettings, orderConfig } from "./config.ts";
import { expireOverdue, orderEvents, orderSnapshots, ticketReplica } from "./events.ts";
import { orderModel } from "./order.ts";
import { orderRoutes } from "./rpc.ts";
import { stuckOrders } from "./stuck-orders.ts";
import { ticketModel } from "./ticket-replica.ts";

const config = parseConfig(orderConfig, process.env);
const service = await startService("orders", config, catalogue);
const db = await service.database(config.MONGODB_URI);
const deps = {
  orders: orderModel(db),
  tickets: ticketModel(db),
  banReplica: banReplicaModel(db),
  ...holdSettings(config),
  now: Date.now,
  log: service.log,
};
await buildIndexes(deps.orders, deps.tickets); // The hold is a unique index.

onSaved(deps.orders, service.relay(deps.orders).enqueue);
const replica = service.replica(db, ticketReplica(deps));
await service.consume([
  ...orderEvents(deps),
  service.publishSnapshots(orderSnapshots(deps)),
  replica.handler,
]);
service.every(config.ORDER_SWEEP_SECONDS, "expiring overdue holds", () => expireOverdue(deps));
service.every(60, "looking for stuck orders", stuckOrders(deps));
await replica.untilComplete();
await service.serve({ routes: orderRoutes(deps), rules: await service.tokens(config) });
await service.untilStopped();
