import { execFileSync } from "node:child_process";
import { join } from "node:path";

// `npm run generate`: code from the contracts, for the services and for the browser.

const root = join(import.meta.dirname, "..");

/** Runs the generators into the project, or into another folder with the same paths. */
export function generate(output = root): void {
  for (const template of ["buf.gen.yaml", "buf.gen.web.yaml"]) {
    execFileSync("buf", ["generate", "--template", template, "--output", output], {
      cwd: root,
      stdio: "inherit",
    });
  }
}

if (import.meta.main) generate();
