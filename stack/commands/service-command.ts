import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findRunning, type Running } from "#stack/launcher";

const root = join(import.meta.dirname, "../..");

interface ServiceCommand {
  /** The service's own module, from the project's root. */
  module: string;
  /** What it needs of the marketplace that `npm start` runs from this folder. */
  of: (running: Running) => NodeJS.ProcessEnv | undefined;
  /** With all of these in the environment, it is for another marketplace than ours. */
  given?: readonly string[];
  /** What to say where there is neither. */
  otherwise: string;
}

/** Runs a service's own command on a marketplace that is up, and ends as it does. */
export async function runServiceCommand(command: ServiceCommand): Promise<void> {
  const { module, of, given = [], otherwise } = command;
  const isGiven = given.length > 0 && given.every((name) => process.env[name]);
  const running = isGiven ? undefined : await findRunning();
  const found = isGiven ? {} : running && of(running);
  if (!found) {
    console.error(otherwise);
    process.exitCode = 1;
    return;
  }
  const args = [join(root, module), ...process.argv.slice(2)];
  const env = { ...process.env, ...found };
  const { status } = spawnSync(process.execPath, args, { cwd: root, env, stdio: "inherit" });
  process.exitCode = status ?? 1;
}
