import pino from "pino";
import { createLog, type Log } from "../log.ts";

export const silentLog: Log = createLog("test", "silent");

/** A log that keeps its lines, for what a log must say and for what it must never say. */
export function recordedLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: pino({ level: "trace" }, { write }), lines };
}
