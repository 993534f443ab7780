import { spawn } from "node:child_process";
import { join } from "node:path";
import { findRunning } from "./running.ts";

// `npm run administrator -- <email>`: makes an account of the marketplace that `npm start` has up an
// administrator's.

const running = await findRunning();
const uri = running?.databases["auth"];
if (!uri) {
  console.error("Nothing is running from this folder: run npm start first.");
  process.exit(1);
}
const command = join(import.meta.dirname, "../services/auth/administrator.ts");
spawn(process.execPath, [command, ...process.argv.slice(2)], {
  env: { ...process.env, MONGODB_URI: uri },
  stdio: "inherit",
}).on("exit", (code) => process.exit(code ?? 1));
