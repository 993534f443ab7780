import pino from "pino";

export type Log = pino.Logger;

/**
 * One JSON line for each thing worth knowing, on standard output. Ids, types and codes only: what
 * people typed, tokens and card data have no business in a log.
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
