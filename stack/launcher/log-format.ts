const COLORS = [36, 35, 33, 32, 34, 96, 95, 93, 92, 94];
const WHITE = 37;
/** The log levels of pino. */
const INFO = 30;
const WARN = 40;

const colorIndexes = new Map<string, number>();

/** A color for each service, the same for all of its instances. */
function colorOf(name: string): number {
  const service = name.replace(/-\d+$/, "");
  const index = colorIndexes.get(service) ?? colorIndexes.size;
  colorIndexes.set(service, index);
  return COLORS[index % COLORS.length] ?? WHITE;
}

interface LogEntry {
  level: number;
  msg: string;
  err?: { message?: string; stack?: string } | string;
}

function parse(line: string): LogEntry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<LogEntry>;
    return typeof entry.level === "number" && typeof entry.msg === "string"
      ? (entry as LogEntry)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A log line for a person: the service in brackets, the message, and the error if there is one. */
export function formatLogLine(name: string, line: string, colored = process.stdout.isTTY): string {
  const entry = parse(line);
  const tag = colored ? `\u001B[${colorOf(name)}m[${name}]\u001B[0m` : `[${name}]`;
  if (!entry) return `${tag} ${line}`;
  const { err } = entry;
  const error = typeof err === "string" ? err : (err?.stack ?? err?.message);
  return `${tag} ${entry.msg}${entry.level >= WARN && error ? `: ${error}` : ""}`;
}

/** Whether the console shows a line. The access log of the edge goes to its own file only. */
export const isForConsole = (name: string, line: string): boolean =>
  name !== "edge" && line.trim() !== "" && (parse(line)?.level ?? WARN) >= INFO;
