import { catalogue } from "#marketplace/catalogue.ts";
import { parseConfig } from "#runtime/config.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import { startService } from "#runtime/service.ts";
import { onSaved } from "#runtime/store/aggregate.ts";
import { ticketConfig } from "./config.ts";
import { addMissingTerms } from "./listings/missing-terms.ts";
import { holdReplica, ticketEvents, ticketSnapshots } from "./events.ts";
import { publicReads } from "./public-reads.ts";
import { ticketRoutes } from "./rpc.ts";
import { ticketModel } from "./ticket.ts";

const config = parseConfig(ticketConfig, process.env);
const service = await startService("tickets", config, catalogue);
const db = await service.database(config.MONGODB_URI);
const tickets = ticketModel(db);
const deps = { tickets, banReplica: banReplicaModel(db), now: Date.now };
await buildIndexes(deps.tickets);
await addMissingTerms(tickets);
service.every(60, "adding search terms", () => addMissingTerms(tickets));

onSaved(deps.tickets, service.relay(deps.tickets).enqueue);
const copies = service.replica(db, holdReplica(deps));
await service.consume([
  ...ticketEvents(deps),
  service.publishSnapshots(ticketSnapshots(deps)),
  copies.handler,
]);
await copies.untilComplete();
await service.serve({
  routes: ticketRoutes({ ...deps, publicReads: publicReads(tickets) }),
  rules: await service.tokens(config),
});
await service.untilStopped();
