import { accessSync, constants, writeSync } from "node:fs";
import { parseConfig } from "#runtime/config.ts";
import { edgeConfig } from "./config/edge-config.ts";
import { render } from "./config/render.ts";
import { untrustedStorefrontAddresses } from "./config/untrusted-storefront.ts";

// Starts the edge: it renders the template with the values of the environment, and replaces this process
// with Envoy. Arguments after the command are passed on to Envoy.

const config = parseConfig(edgeConfig, process.env);

const untrusted = await untrustedStorefrontAddresses(config);
if (untrusted.length > 0) {
  exitInvalid(
    `TRUSTED_NETWORKS: the storefront's server is at ${untrusted.join(", ")}, which is in none of them, ` +
      "so all its users would share one rate limit. Add its network, such as the pod network.",
  );
}
try {
  accessSync(config.ENVOY, constants.X_OK);
} catch {
  exitInvalid("ENVOY: must be a program that may be run");
}
const args = ["--config-yaml", JSON.stringify(render(config)), ...process.argv.slice(2)];
process.execve?.(config.ENVOY, ["envoy", ...args], process.env);

// Written synchronously and without process.stderr, which would change the output that Envoy inherits.
function exitInvalid(problem: string): never {
  writeSync(2, `The environment is not as it must be:\n  ${problem}\n`);
  process.exit(78); // EX_CONFIG
}
