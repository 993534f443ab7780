// The first that fits counts: most browsers name others that they are like.
const programs: readonly [RegExp, string][] = [
  [/\bEdg(e|A|iOS)?\//, "Edge"],
  [/\bOPR\/|\bOpera\b/, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(Firefox|FxiOS)\//, "Firefox"],
  [/\b(HeadlessChrome|Chrome|CriOS|Chromium)\//, "Chrome"],
  [/\bVersion\/[\d.]+ .*Safari\//, "Safari"],
  [/^curl\//, "curl"],
  [/^(grpc|connect)-/, "a program"],
];
const systems: readonly [RegExp, string][] = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bMac OS X\b|\bMacintosh\b/, "macOS"],
  [/\bLinux\b|\bX11\b/, "Linux"],
];

/**
 * What signed in, in words: "Firefox on Linux". Only words of ours: whatever a client says of itself
 * is shown to nobody.
 */
export function deviceOf(userAgent: string): string {
  const said = userAgent.slice(0, 512);
  const wordFor = (list: readonly [RegExp, string][]): string | undefined =>
    list.find(([pattern]) => pattern.test(said))?.[1];
  const [program, system] = [wordFor(programs), wordFor(systems)];
  if (program && system) return `${program} on ${system}`;
  return program ?? system ?? "";
}
