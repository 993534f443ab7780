import { catalogue } from "#marketplace/catalogue.ts";
import { parseConfig } from "#runtime/config.ts";
import { startDelayedDelivery } from "#runtime/messaging/delay/delay.ts";
import { startService } from "#runtime/service.ts";
import { expirationConfig } from "./config.ts";
import { expirationEvents } from "./events.ts";

const config = parseConfig(expirationConfig, process.env);
const service = await startService("expiration", config, catalogue);
const { broker, log } = service;
const { AMQP_URI: url, DELAY: mode } = config;
const delay = await startDelayedDelivery({ service: "expiration", url, mode, broker, log });
service.onStop(() => delay.close());

await service.consume(expirationEvents({ broker, delay, log, now: Date.now }));
await service.serve({});
await service.untilStopped();
