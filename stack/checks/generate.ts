import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

// `npm run generate` generates code from the contracts, for the services and for the browser, and the
// broker's definitions for a local cluster from the catalogue.

const root = join(import.meta.dirname, "../..");

/** Runs the generators. They write to the project, or to the same paths in another folder. */
export function generate(output = root): void {
  for (const template of ["buf.gen.yaml", "buf.gen.web.yaml"]) {
    execFileSync("buf", ["generate", "--template", template, "--output", output], {
      cwd: root,
      stdio: "inherit",
    });
  }
}

/** The definitions, without users, that RabbitMQ loads at every start in a local cluster. */
export const CLUSTER_TOPOLOGY = "k8s/local/rabbitmq-topology.json";

async function generateTopology(): Promise<void> {
  // Imported late, because it needs the contracts' code, which can be new.
  const { catalogue } = await import("#marketplace/catalogue.ts");
  const { definitionsOf } = await import("#runtime/messaging/topology/permissions.ts");
  const definitions = JSON.stringify(definitionsOf("/", catalogue), null, 2);
  writeFileSync(join(root, CLUSTER_TOPOLOGY), `${definitions}\n`);
}

/** Writes docs/flow.md. Ends with a message if an event has no origin yet, as in the middle of a change. */
async function writeFlow(): Promise<void> {
  const { generateFlow, NeverRecorded } = await import("./flow-page.ts");
  try {
    generateFlow();
  } catch (error) {
    if (!(error instanceof NeverRecorded)) throw error;
    console.error(`The code and the topology are written; docs/flow.md is not. ${error.message}`);
    process.exitCode = 1;
  }
}

if (import.meta.main) {
  generate();
  await generateTopology();
  await writeFlow();
}
