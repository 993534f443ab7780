import { accessSync, constants, writeSync } from "node:fs";
import { parseConfig } from "#runtime/config.ts";
import { edgeConfig } from "./config.ts";
import { render } from "./render.ts";
import { notBelieved } from "./storefront.ts";

// The edge's start: the template, filled in from the environment, becomes Envoy's configuration, and
// Envoy takes this process's place. What stands behind the command goes on to Envoy.

const config = parseConfig(edgeConfig, process.env);

const strangers = await notBelieved(config);
if (strangers.length > 0) {
  refuse(
    `TRUSTED_NETWORKS: the storefront's server is at ${strangers.join(", ")}, which is in none of them, ` +
      "so all its visitors would count as one. Name its network, such as that of the cluster's pods.",
  );
}
try {
  accessSync(config.ENVOY, constants.X_OK);
} catch {
  refuse("ENVOY: must be a program that may be run");
}
const given = ["--config-yaml", JSON.stringify(render(config)), ...process.argv.slice(2)];
process.execve?.(config.ENVOY, ["envoy", ...given], process.env);

// Written at once and by hand: Envoy is to inherit the output as it was, and process.stderr changes it.
function refuse(why: string): never {
  writeSync(2, `The environment is not as it must be:\n  ${why}\n`);
  process.exit(78); // EX_CONFIG
}
