export { processIdentity, tryLock } from "./lock.ts";
export { freePort, freePorts, isListening, preferredPort } from "./ports.ts";
export { run, type Child } from "./process.ts";
export { isShuttingDown } from "./shutdown.ts";
export { until, type Truthy } from "./wait.ts";
