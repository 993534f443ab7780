export { buildWeb, prepareWeb } from "./web-build.ts";
export {
  buildDescriptors,
  startEdge,
  type Edge,
  type EdgeVariables,
  type Upstreams,
} from "./edge.ts";
export { formatLogLine } from "./log-format.ts";
export { findRunning, type Running } from "./running.ts";
export {
  services,
  startSystem,
  type PartName,
  type ServiceName,
  type System,
  type SystemOptions,
} from "./system.ts";
