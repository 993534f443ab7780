const colours = [36, 35, 33, 32, 34, 96, 95, 93, 92, 94];
const seen = new Map<string, number>();

const colourOf = (name: string): number => {
  const service = name.replace(/-\d+$/, "");
  if (!seen.has(service)) seen.set(service, seen.size);
  return colours[(seen.get(service) ?? 0) % colours.length] ?? 37;
};

interface Said {
  level: number;
  msg: string;
  err?: { message?: string; stack?: string } | string;
}

const WARN = 40;

function read(line: string): Said | undefined {
  try {
    const said = JSON.parse(line) as Partial<Said>;
    return typeof said.level === "number" && typeof said.msg === "string"
      ? (said as Said)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A service's log line for a person: its name in brackets, what it says, and what went wrong. */
export function formatLogLine(name: string, line: string, coloured = process.stdout.isTTY): string {
  const said = read(line);
  const tag = coloured ? `\u001B[${colourOf(name)}m[${name}]\u001B[0m` : `[${name}]`;
  if (!said) return `${tag} ${line}`;
  const error = typeof said.err === "string" ? said.err : (said.err?.stack ?? said.err?.message);
  const trouble = said.level >= WARN && error ? `: ${error}` : "";
  return `${tag} ${said.msg}${trouble}`;
}

/** Whether a person who watches wants to see a line: the edge's access log is for its own file. */
export const isForConsole = (name: string, line: string): boolean =>
  name !== "edge" && line.trim() !== "" && (read(line)?.level ?? WARN) >= 30;
