import { invalidField } from "../errors.ts";

// Text that people see, such as a title. Whatever is typed, it takes one line, reads the same wherever it
// is shown, and shows something: nobody writes a paragraph of their own into our letters, turns the words
// of a page around, or sells a ticket without a name.

/** Line ends, tabs and other control characters: they part words, and do nothing else here. */
const PARTING = /[\p{Cc}\p{White_Space}]+/gu;

/**
 * Joiners where writing needs them: between the parts of one emoji, and after a letter of a script whose
 * letters change their shape with what follows.
 */
const JOINED =
  /(?<=\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?)\u200D(?=\p{Extended_Pictographic})|(?<=[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}])[\u200C\u200D](?=[\p{L}\p{M}])/u;
/** Format characters that are drawn: signs of Arabic, Syriac and Kaithi that stand before a number. */
const DRAWN = /[\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\u{110BD}\u{110CD}]/u;
/** The flags of England, Scotland and Wales are a black flag with letters that are not drawn. */
const FLAG_LETTERS = /(?<=\u{1F3F4}[\u{E0020}-\u{E007E}]*)[\u{E0020}-\u{E007F}]/u;

/** Characters that change how others are shown, and are not seen themselves. */
const FORMAT = new RegExp(
  `(?!${[JOINED, DRAWN, FLAG_LETTERS].map(({ source }) => source).join("|")})\\p{Cf}`,
  "gu",
);

/** A letter, a number, a sign: anything but marks on nothing, and what only looks like a space. */
const SEEN = /(?![\p{Default_Ignorable_Code_Point}\u2800])[\p{L}\p{N}\p{P}\p{S}]/u;

/** The text as one line, and in one form of each letter that can be written in two ways (NFC). */
export const toSingleLine = (text: string): string =>
  text.replace(PARTING, " ").replace(FORMAT, "").replace(/ {2,}/g, " ").trim().normalize("NFC");

/** A text of several lines, as it is typed but for what is not seen: control and format characters. */
export const toMultiline = (text: string): string =>
  text
    .replace(/\r\n?|[\v\f\u0085\u2028\u2029]/g, "\n")
    .replace(/(?![\n\t])\p{Cc}/gu, "")
    .replace(FORMAT, "")
    .normalize("NFC");

/** Whether there is anything to see in a text. */
export const isVisible = (text: string): boolean => SEEN.test(text);

/**
 * Reads a field that people will see: as one line, which may be empty where it is not `required`, but is
 * not invisible, and has at most `max` characters.
 */
export function readSingleLine(
  text: string,
  field: string,
  { max, required = false }: { max: number; required?: boolean },
): string {
  const line = toSingleLine(text);
  if (isVisible(line)) {
    if ([...line].length > max) throw invalidField(field, `must have at most ${max} characters`);
    return line;
  }
  if (required || line !== "" || text.trim() !== "") {
    throw invalidField(field, "must have something that can be seen");
  }
  return "";
}
