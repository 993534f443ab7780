// The values that `Host` or `:authority` may have: a host, and an optional port, that every reader behind
// the edge parses in the same way. It is one RE2 pattern (Envoy's dialect) for the whole value.

const label = "[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?";
/** Not a number in any notation: some readers would parse such a name as an IP address. */
const lastLabel = "(?:[a-zA-Z_]|[0-9]+[a-wyzA-WYZ_-])(?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?";
const name = `(?:${label}\\.)*${lastLabel}\\.?`;

const byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const v4 = `${byte}(?:\\.${byte}){3}`;

const group = "[0-9a-fA-F]{1,4}";
/** Eight groups, or fewer around one "::". */
const v6 = [
  `(?:${group}:){7}${group}`,
  `(?:${group}:){1,7}:`,
  ...[1, 2, 3, 4, 5, 6].map((left) => `(?:${group}:){1,${left}}(?::${group}){1,${7 - left}}`),
  `:(?::${group}){1,7}`,
  "::",
].join("|");

const port = "(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

export const AUTHORITY = `(?:${name}|${v4}|\\[(?:${v6})\\])(?::${port})?`;
