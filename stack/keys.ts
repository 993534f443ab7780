import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findRunning } from "./running.ts";

// `npm run keys`: auth's own command, on the marketplace that `npm start` runs from this folder, or
// on the database that the environment names.

const root = join(import.meta.dirname, "..");

async function environment(): Promise<NodeJS.ProcessEnv | undefined> {
  const { env } = process;
  if (env["MONGODB_URI"] && env["SEALING_KEY"]) return env;
  const running = await findRunning();
  const uri = running?.databases["auth"];
  return uri ? { ...env, MONGODB_URI: uri, SEALING_KEY: running.sealingKey } : undefined;
}

const env = await environment();
if (env) {
  const command = [join(root, "services/auth/keys-command.ts"), ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, command, { cwd: root, env, stdio: "inherit" });
  process.exitCode = status ?? 1;
} else {
  console.error("Nothing runs here: run npm start, or give auth's MONGODB_URI and SEALING_KEY.");
  process.exitCode = 1;
}
