import type { Timestamp } from "@bufbuild/protobuf/wkt";

/** A timestamp in milliseconds since 1970. */
export function toMillis({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1000 + Math.floor(nanos / 1e6);
}

const zoned = { hour: "numeric", minute: "2-digit", timeZoneName: "short" } as const;
const date = { weekday: "short", day: "numeric", month: "short", year: "numeric" } as const;

const kinds = {
  /** A time always shows its time zone. */
  time: { ...date, ...zoned },
  /** For a time on the same day. */
  clock: { ...zoned, second: "2-digit" },
  /** For `localTime` and datetime-local fields. */
  local: {
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
export const formatTime = (timeMs: number, locale: string, timeZone: string): string =>
  timeFormat("time", locale, timeZone).format(timeMs);

/** "20:05:30 CEST". */
export const formatClock = (timeMs: number, locale: string, timeZone: string): string =>
  timeFormat("clock", locale, timeZone).format(timeMs);

/** A remaining time as "14:59", never negative. It is rounded up: "0:00" means that the time is over. */
export function formatRemaining(remainingMs: number): string {
  const seconds = Math.max(0, Math.ceil(remainingMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The local time in `timeZone`, in the format of a datetime-local field: "2027-06-04T20:00". */
export function localTime(timeMs: number, timeZone: string): string {
  const parts = timeFormat("local", "en-CA", timeZone).formatToParts(timeMs);
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
  return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}`;
}

/** Whether this is the name of a time zone that Intl knows. */
export function isTimeZone(name: string): boolean {
  try {
    return Boolean(timeFormat("local", "en-CA", name));
  } catch {
    return false;
  }
}
