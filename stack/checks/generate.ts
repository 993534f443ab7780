import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

// `npm run generate`: code from the contracts, for the services and for the browser; and from the
// catalogue, what the broker of a local cluster holds.

const root = join(import.meta.dirname, "../..");

/** Runs the generators into the project, or into another folder with the same paths. */
export function generate(output = root): void {
  for (const template of ["buf.gen.yaml", "buf.gen.web.yaml"]) {
    execFileSync("buf", ["generate", "--template", template, "--output", output], {
      cwd: root,
      stdio: "inherit",
    });
  }
}

/** What RabbitMQ reads at every start in a local cluster, besides its users. */
export const CLUSTER_TOPOLOGY = "k8s/local/rabbitmq-topology.json";

async function generateTopology(): Promise<void> {
  // It needs the contracts' code, which may be new.
  const { catalogue } = await import("#marketplace/catalogue.ts");
  const { definitionsOf } = await import("#runtime/messaging/topology/permissions.ts");
  const definitions = JSON.stringify(definitionsOf("/", catalogue), null, 2);
  writeFileSync(join(root, CLUSTER_TOPOLOGY), `${definitions}\n`);
}

if (import.meta.main) {
  generate();
  await generateTopology();
  const { generateFlow } = await import("./flow-page.ts");
  generateFlow();
}
