import type { Timestamp } from "@bufbuild/protobuf/wkt";

/** Milliseconds since 1970. */
export function millis({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1000 + Math.floor(nanos / 1e6);
}

const zoned = { hour: "numeric", minute: "2-digit", timeZoneName: "short" } as const;
const date = { weekday: "short", day: "numeric", month: "short", year: "numeric" } as const;

const kinds = {
  /** Never a time without its zone. */
  time: { ...date, ...zoned },
  /** For what ends today. */
  clock: { ...zoned, second: "2-digit" },
  /** For `wallTime`. */
  wall: {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

/** Making a format takes far longer than using it, and a page of tickets uses the same few. */
const formats = new Map<string, Intl.DateTimeFormat>();
const MOST_FORMATS = 500;

/** How a time is written in a language and a time zone. */
export function timeFormat(
  kind: keyof typeof kinds,
  locale: string,
  timeZone: string,
): Intl.DateTimeFormat {
  const key = `${kind} ${locale} ${timeZone}`;
  const known = formats.get(key);
  if (known) return known;
  const made = new Intl.DateTimeFormat(locale, { ...kinds[kind], timeZone });
  // Visitors say which, so there is a limit to how many are kept.
  if (formats.size >= MOST_FORMATS) formats.clear();
  formats.set(key, made);
  return made;
}

/** "Fri, 4 Jun 2027, 20:00 CEST". */
export const formatTime = (at: number, locale: string, timeZone: string): string =>
  timeFormat("time", locale, timeZone).format(at);

/** "20:05:30 CEST". */
export const formatClock = (at: number, locale: string, timeZone: string): string =>
  timeFormat("clock", locale, timeZone).format(at);

/** "14:59" for what is left; never less than nothing. Rounded up: "0:00" means that it is over. */
export function formatRemaining(left: number): string {
  const seconds = Math.max(0, Math.ceil(left / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** What a clock on the wall of `timeZone` shows, as datetime-local writes it: "2027-06-04T20:00". */
export function wallTime(at: number, timeZone: string): string {
  const parts = timeFormat("wall", "en-CA", timeZone).formatToParts(at);
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
  return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}`;
}

/** Why a text is no time, in words for the field where it was typed. */
export interface TimeError {
  refused: string;
}

const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?$/;

/**
 * The instant at which a clock in `timeZone` shows `text` ("2027-06-04T20:00"); a text with a zone of
 * its own ("…Z", "…+02:00") means that. Days that no calendar has, and times that daylight saving
 * skips, are refused. Of a time that it repeats, the first is meant, unless `later` is set.
 */
export function parseLocalTime(text: string, timeZone: string, later = false): number | TimeError {
  const match = TIME.exec(text.normalize("NFKC").trim());
  if (!match) return { refused: "Choose a day and a time." };
  const [, day, clock, seconds = ":00", zone] = match;
  const minutes = `${day}T${clock}`;
  const asUtc = Date.parse(`${minutes}${seconds}Z`);
  // Date.parse takes 30 February for a day in March.
  if (Number.isNaN(asUtc) || !new Date(asUtc).toISOString().startsWith(minutes))
    return { refused: "There is no such day or time." };
  if (zone) {
    const at = Date.parse(`${minutes}${seconds}${zone}`);
    return Number.isNaN(at) ? { refused: "Choose a day and a time." } : at;
  }
  // The zone's offsets a day before and after are the only two that can hold at this time.
  const offsets = [-1, 1].map((days) => offset(asUtc + days * 86_400_000, timeZone));
  const shown = offsets
    .map((each) => asUtc - each)
    .filter((each) => wallTime(each, timeZone) === minutes);
  if (shown.length === 0)
    return { refused: "Clocks are put forward then, and skip this time. Choose another." };
  return later ? Math.max(...shown) : Math.min(...shown);
}

/** Whether it is the second of two instants at which clocks in `timeZone` show the same. */
export function isRepeat(at: number, timeZone: string): boolean {
  const first = parseLocalTime(wallTime(at, timeZone), timeZone);
  return typeof first === "number" && first < Math.floor(at / 60_000) * 60_000;
}

function offset(at: number, timeZone: string): number {
  return Date.parse(`${wallTime(at, timeZone)}Z`) - Math.floor(at / 60_000) * 60_000;
}

/** Whether it names a zone that can be calculated with. */
export function isTimeZone(name: string): boolean {
  try {
    return Boolean(timeFormat("wall", "en-CA", name));
  } catch {
    return false;
  }
}

/** The first language of an Accept-Language header that Intl knows. */
export function preferredLocale(header: string | null): string {
  for (const entry of (header ?? "").split(",").slice(0, 10)) {
    const tag = entry.split(";")[0]?.trim() ?? "";
    try {
      const [known] = Intl.DateTimeFormat.supportedLocalesOf(tag);
      if (known) return known;
    } catch {
      // "*" and nonsense: the next one.
    }
  }
  return "en";
}
