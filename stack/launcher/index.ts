export {
  buildDescriptors,
  startEdge,
  type Edge,
  type EdgeVariables,
  type Upstreams,
} from "./edge.ts";
export { HEAP_OPTIONS } from "./instance.ts";
export { formatLogLine } from "./log-format.ts";
export { findRunning, type Running } from "./running.ts";
export { services, type PartName, type ServiceName } from "./services.ts";
export { startSystem, type System, type SystemOptions } from "./system.ts";
export { buildWeb, prepareWeb } from "./web-build.ts";
