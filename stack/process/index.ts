export { identity, tryLock } from "./lock.ts";
export { freePort, freePorts, isOpen, portOr } from "./ports.ts";
export { isEnding, run, until, type Child, type Truthy } from "./process.ts";
