/** Rows under their heads, in columns as wide as they need; numbers stand to the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads, ...rows];
  const widths = heads.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  const isNumber = heads.map((_, i) => rows.every((row) => /^[\d-]*$/.test(row[i] ?? "")));
  return all
    .map((row) =>
      row
        .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const units = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
] as const;

/** How long ago something was, in its largest unit: "3 min". Empty where nobody knows. */
export function age(since: Date | undefined, now = Date.now()): string {
  const seconds = since ? Math.max(0, Math.floor((now - since.getTime()) / 1000)) : Number.NaN;
  if (Number.isNaN(seconds)) return "";
  const [unit, length] = units.find(([, each]) => seconds >= each) ?? ["s", 1];
  return `${Math.floor(seconds / length)} ${unit}`;
}
