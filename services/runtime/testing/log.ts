import pino from "pino";
import { createLog, type Log } from "../log.ts";

export const silentLog: Log = createLog("test", "silent");

/** A log that keeps its lines, to check what a log contains and what it never contains. */
export function recordedLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: pino({ level: "trace" }, { write }), lines };
}
