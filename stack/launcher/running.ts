import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Management } from "#stack/parts";

/** Where `npm start` keeps its data, its logs and its secrets. */
export const stackDir = join(import.meta.dirname, "../../.stack");

/** A marketplace that `npm start` has up: for the demo, and for whoever wants to know. */
export interface Running {
  url: string;
  dir: string;
  pid: number;
  holdSeconds: number;
  /** For `npm run events`: the broker, its management if it is ours, each service's database. */
  amqp: string;
  management?: Management;
  databases: Record<string, string>;
  /** For `npm run keys`: what auth keeps its keys under. */
  sealingKey: string;
  /** For `npm run payments`: Stripe's key, and its address where it is the local one. */
  stripe: { url?: string | undefined; key: string };
}

const file = join(stackDir, "running.json");

/** Addresses have passwords in them, so only the owner can read the file. */
export function writeRunning(running: Running): void {
  removeRunning(); // A file that is there would keep its mode.
  writeFileSync(file, JSON.stringify(running), { mode: 0o600 });
}

export function removeRunning(): void {
  rmSync(file, { force: true });
}

/** What is running from this folder, if it still answers. */
export async function findRunning(): Promise<Running | undefined> {
  try {
    const running = JSON.parse(readFileSync(file, "utf8")) as Running;
    const answer = await fetch(`${running.url}/healthz`, { signal: AbortSignal.timeout(2_000) });
    return answer.ok ? running : undefined;
  } catch {
    return undefined;
  }
}
