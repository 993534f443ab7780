import type { Timestamp } from "@bufbuild/protobuf/wkt";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** How many entries of an Accept-Language header are tried. */
const MAX_LANGUAGES = 10;

/** A timestamp in milliseconds since 1970. */
export function millis({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1000 + Math.floor(nanos / 1e6);
}

const zoned = { hour: "numeric", minute: "2-digit", timeZoneName: "short" } as const;
const date = { weekday: "short", day: "numeric", month: "short", year: "numeric" } as const;

const kinds = {
  /** A time always shows its time zone. */
  time: { ...date, ...zoned },
  /** For a time on the same day. */
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

/** Creating a format is far slower than using it, and a page of tickets uses the same few. */
const formats = new Map<string, Intl.DateTimeFormat>();
const MAX_FORMATS = 500;

/** The format of a time in a locale and a time zone. */
export function timeFormat(
  kind: keyof typeof kinds,
  locale: string,
  timeZone: string,
): Intl.DateTimeFormat {
  const key = `${kind} ${locale} ${timeZone}`;
  const cached = formats.get(key);
  if (cached) return cached;
  const format = new Intl.DateTimeFormat(locale, { ...kinds[kind], timeZone });
  // Clients choose the locale and the time zone, so the cache needs a limit.
  if (formats.size >= MAX_FORMATS) formats.clear();
  formats.set(key, format);
  return format;
}

/** "Fri, 4 Jun 2027, 20:00 CEST". */
export const formatTime = (at: number, locale: string, timeZone: string): string =>
  timeFormat("time", locale, timeZone).format(at);

/** "20:05:30 CEST". */
export const formatClock = (at: number, locale: string, timeZone: string): string =>
  timeFormat("clock", locale, timeZone).format(at);

/** A remaining time as "14:59", never negative. It is rounded up: "0:00" means that the time is over. */
export function formatRemaining(remainingMs: number): string {
  const seconds = Math.max(0, Math.ceil(remainingMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The local time in `timeZone`, in the format of a datetime-local field: "2027-06-04T20:00". */
export function wallTime(at: number, timeZone: string): string {
  const parts = timeFormat("wall", "en-CA", timeZone).formatToParts(at);
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
  return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}`;
}

/** Why a typed time is invalid. */
export interface TimeError {
  error: string;
}

const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?$/;

/**
 * Parses a local time in `timeZone` ("2027-06-04T20:00") into an instant. A text with an offset of
 * its own ("…Z", "…+02:00") keeps that. Days that do not exist, and times that daylight saving skips, are
 * errors. A time that occurs twice means the first, unless `later` is set.
 */
export function parseLocalTime(text: string, timeZone: string, later = false): number | TimeError {
  const match = TIME.exec(text.normalize("NFKC").trim());
  if (!match) return { error: "Choose a date and a time." };
  const [, day, clock, seconds = ":00", zone] = match;
  const minutes = `${day}T${clock}`;
  const asUtc = Date.parse(`${minutes}${seconds}Z`);
  // Date.parse reads 30 February as a day in March.
  if (Number.isNaN(asUtc) || !new Date(asUtc).toISOString().startsWith(minutes))
    return { error: "This date or time doesn’t exist." };
  if (zone) {
    const at = Date.parse(`${minutes}${seconds}${zone}`);
    return Number.isNaN(at) ? { error: "Choose a date and a time." } : at;
  }
  // Only the zone's offsets of the day before and the day after can apply at this time.
  const offsets = [-1, 1].map((days) => offset(asUtc + days * DAY_MS, timeZone));
  const candidates = offsets
    .map((each) => asUtc - each)
    .filter((each) => wallTime(each, timeZone) === minutes);
  if (candidates.length === 0)
    return { error: "Clocks go forward then and skip this time. Choose another." };
  return later ? Math.max(...candidates) : Math.min(...candidates);
}

/** Whether this is the second of two instants with the same local time in `timeZone`. */
export function isRepeatedTime(at: number, timeZone: string): boolean {
  const first = parseLocalTime(wallTime(at, timeZone), timeZone);
  return typeof first === "number" && first < Math.floor(at / MINUTE_MS) * MINUTE_MS;
}

function offset(at: number, timeZone: string): number {
  return Date.parse(`${wallTime(at, timeZone)}Z`) - Math.floor(at / MINUTE_MS) * MINUTE_MS;
}

/** Whether this is the name of a time zone that Intl knows. */
export function isTimeZone(name: string): boolean {
  try {
    return Boolean(timeFormat("wall", "en-CA", name));
  } catch {
    return false;
  }
}

/** The first language of an Accept-Language header that Intl supports; else English. */
export function preferredLocale(header: string | null): string {
  for (const entry of (header ?? "").split(",").slice(0, MAX_LANGUAGES)) {
    const tag = entry.split(";")[0]?.trim() ?? "";
    try {
      const [supported] = Intl.DateTimeFormat.supportedLocalesOf(tag);
      if (supported) return supported;
    } catch {
      // "*" and invalid tags: try the next entry.
    }
  }
  return "en";
}
