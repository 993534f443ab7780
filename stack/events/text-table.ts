/** Rows under a header, in columns as wide as needed. Columns of numbers are right-aligned. */
export function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headers, ...rows];
  const widths = headers.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  const isNumeric = headers.map((_, i) => rows.every((row) => /^[\d-]*$/.test(row[i] ?? "")));
  return all
    .map((row) =>
      row
        .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
] as const;

/** The time since `since` in its largest unit: "3 min". An empty string if it is unknown. */
export function age(since: Date | undefined, now = Date.now()): string {
  const seconds = since ? Math.max(0, Math.floor((now - since.getTime()) / 1000)) : Number.NaN;
  if (Number.isNaN(seconds)) return "";
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? ["s", 1];
  return `${Math.floor(seconds / length)} ${unit}`;
}
