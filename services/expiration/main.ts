import { catalogue } from "#catalogue";
import { parseConfig } from "#runtime/config.ts";
import { startService } from "#runtime/service.ts";
import { expirationConfig } from "./config.ts";
import { expirationEvents } from "./events.ts";

const config = parseConfig(expirationConfig, process.env);
const service = await startService("expiration", config, catalogue);
const { broker, log } = service;

await service.consume(expirationEvents({ broker, log, now: Date.now }));
await service.serve({});
await service.untilStopped();
