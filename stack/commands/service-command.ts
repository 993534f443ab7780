import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findRunning, type Running } from "#stack/launcher";

const root = join(import.meta.dirname, "../..");

interface ServiceCommand {
  /** The path of the service's command, from the root of the project. */
  module: string;
  /** The variables for the command, from the marketplace that `npm start` runs from this folder. */
  of: (running: Running) => NodeJS.ProcessEnv | undefined;
  /** If all of these variables are set, the command runs on the marketplace that they name. */
  given?: readonly string[];
  /** The message if there is no marketplace and the variables are not set. */
  otherwise: string;
}

/** Runs a service's own command on a running marketplace, and exits with the command's exit code. */
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
