import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export interface OutputOptions {
  /** All output of the child is appended to this file. */
  readonly logFile?: string;
  readonly onLine?: (line: string) => void;
}

const TAIL_LINES = 30;
const TAIL_LINE_LENGTH = 300;

/** Passes on the lines that a child writes. Returns a function that gives the last of them. */
export function readOutput(
  outputs: readonly Readable[],
  { logFile, onLine }: OutputOptions,
  exited: Promise<unknown>,
): () => string {
  if (logFile !== undefined) mkdirSync(dirname(logFile), { recursive: true });
  const file = logFile === undefined ? undefined : createWriteStream(logFile, { flags: "a" });
  void exited.then(() => file?.end());
  const recent: string[] = [];
  for (const input of outputs) {
    createInterface({ input }).on("line", (line) => {
      recent.push(line.slice(0, TAIL_LINE_LENGTH));
      if (recent.length > TAIL_LINES) recent.shift();
      if (file?.writable) file.write(line + "\n");
      onLine?.(line);
    });
  }
  return () => recent.join("\n");
}
