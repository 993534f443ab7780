import pino from "pino";

export type Log = pino.Logger;

/**
 * Lines are written together: a system call for each line costs more than the line. A killed process loses
 * the lines of this time. One that ends by itself writes them, also after an uncaught error.
 */
const FLUSH_INTERVAL_MS = 100;
const FLUSH_BYTES = 8 * 1024;
const STANDARD_OUTPUT = 1;

/**
 * Writes one JSON line per log entry to standard output. Logs contain only IDs, types and codes: never user
 * input, tokens or card data.
 */
export function createLog(service: string, level: string): Log {
  const options = {
    name: service,
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ["*.password", "*.token", "*.authorization", "*.cookie", "*.client_secret"],
  };
  return pino(options, standardOutput());
}

/** Buffers lines. The destination's own timer would also run, and write nothing, while there are no lines. */
function standardOutput(): pino.DestinationStream & { flushSync(): void } {
  const output = pino.destination({ dest: STANDARD_OUTPUT, sync: false, minLength: FLUSH_BYTES });
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    timer = undefined;
    output.flush();
  };
  return {
    write(line) {
      output.write(line);
      timer ??= setTimeout(flush, FLUSH_INTERVAL_MS).unref();
    },
    flushSync: () => output.flushSync(),
  };
}
