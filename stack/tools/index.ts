export { debianSource } from "./apt-sources.ts";
export { ensureGo, goModule } from "./go.ts";
export { execute, install } from "./install.ts";
export { ensurePip } from "./pip.ts";
export { ensureTools, type Tools } from "./tools.ts";
