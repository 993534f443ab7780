import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Management } from "#stack/parts";

/** Contains the data, logs and secrets of `npm start`. */
export const stackDir = join(import.meta.dirname, "../../.stack");

/** The marketplace that `npm start` runs, as other commands find it. */
export interface Running {
  url: string;
  dir: string;
  pid: number;
  holdSeconds: number;
  /** For `npm run events`: the broker, its management API if local, and each service's database. */
  amqp: string;
  management?: Management;
  databases: Record<string, string>;
  /** For `npm run keys`: the key that encrypts auth's keys. */
  sealingKey: string;
  /** For `npm run payments`: Stripe's key, and the address of the local Stripe. */
  stripe: { url?: string | undefined; key: string };
}

const file = join(stackDir, "running.json");
const HEALTH_TIMEOUT_MS = 2_000;

/** Writes the file with the addresses. It contains passwords, so only its owner can read it. */
export function writeRunning(running: Running): void {
  removeRunning(); // An existing file would keep its mode.
  writeFileSync(file, JSON.stringify(running), { mode: 0o600 });
}

export function removeRunning(): void {
  rmSync(file, { force: true });
}

/** The marketplace that runs from this folder, if its edge responds. */
export async function findRunning(): Promise<Running | undefined> {
  try {
    const running = JSON.parse(readFileSync(file, "utf8")) as Running;
    const signal = AbortSignal.timeout(HEALTH_TIMEOUT_MS);
    const response = await fetch(`${running.url}/healthz`, { signal });
    return response.ok ? running : undefined;
  } catch {
    return undefined;
  }
}
