import pino from "pino";

export type Log = pino.Logger;

/**
 * Writes one JSON line per log entry to standard output. Logs contain only IDs, types and codes: never user
 * input, tokens or card data.
 */
export function createLog(service: string, level: string): Log {
  return pino({
    name: service,
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ["*.password", "*.token", "*.authorization", "*.cookie", "*.client_secret"],
  });
}
