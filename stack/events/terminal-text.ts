const MAX_LENGTH = 80;

/** Escapes control characters as JSON does, so that text from others cannot control a terminal. */
const escapeControl = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (char) =>
    Array.from(
      { length: char.length },
      (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`,
    ).join(""),
  );

/** Text from others for a terminal: one line of limited length without control characters. */
export const sanitize = (text: string, maxLength = MAX_LENGTH): string =>
  escapeControl(text.length > maxLength ? `${text.slice(0, maxLength)}…` : text);

/** JSON with escaped control characters, for programs and terminals alike. */
export const toSafeJson = (value: unknown): string => escapeControl(JSON.stringify(value));

/** A UUIDv7 by its end. It begins with its time, so neighbours differ only at the end. */
const shortId = (text: string): string =>
  text.replace(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[\da-f]{4}-[\da-f]{4}([\da-f]{8})$/, "…$1");

/** A string field: a word as it is, anything else in quotes. */
export function fieldText(text: string): string {
  const short = shortId(text);
  return /^[\w.:@/…-]*$/.test(short) ? short : `"${sanitize(short.replaceAll('"', "'"))}"`;
}
