/** A pattern of a User-Agent, and its name for people. */
type Pattern = readonly [RegExp, string];

// The first match counts, because most browsers also contain the names of others.
const programs: readonly Pattern[] = [
  [/\bEdg(e|A|iOS)?\//, "Edge"],
  [/\bOPR\/|\bOpera\b/, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(Firefox|FxiOS)\//, "Firefox"],
  [/\b(HeadlessChrome|Chrome|CriOS|Chromium)\//, "Chrome"],
  [/\bVersion\/[\d.]+ .*Safari\//, "Safari"],
  [/^curl\//, "curl"],
  [/^(grpc|connect)-/, "a program"],
];
const systems: readonly Pattern[] = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bMac OS X\b|\bMacintosh\b/, "macOS"],
  [/\bLinux\b|\bX11\b/, "Linux"],
];

const LONGEST_USER_AGENT = 512;

/**
 * Describes the device that signs in: "Firefox on Linux". The words are ours; text of the client is never
 * shown.
 */
export function describeDevice(userAgent: string): string {
  const text = userAgent.slice(0, LONGEST_USER_AGENT);
  const match = (patterns: readonly Pattern[]): string | undefined =>
    patterns.find(([pattern]) => pattern.test(text))?.[1];
  const [program, system] = [match(programs), match(systems)];
  if (program && system) return `${program} on ${system}`;
  return program ?? system ?? "";
}
