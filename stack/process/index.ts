export { processIdentity, tryLock } from "./lock.ts";
export { freePort, freePorts, isListening, preferredPort } from "./ports.ts";
export { isShuttingDown, run, until, type Child, type Truthy } from "./process.ts";
