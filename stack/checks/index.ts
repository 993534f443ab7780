export { CLUSTER_TOPOLOGY } from "./generate.ts";
