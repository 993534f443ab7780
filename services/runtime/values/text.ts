import { invalidField } from "../errors.ts";

// Text that is shown to people, such as a title. It is a single line, reads the same everywhere and is
// visible: a user cannot add paragraphs to our emails, reverse the text of a page, or sell a ticket without a
// name.

/** Line breaks, tabs and other control characters: they separate words and have no other effect here. */
const PARTING = /[\p{Cc}\p{White_Space}]+/gu;

/**
 * Joiners where a script needs them: between the parts of an emoji, and after a letter of a script whose
 * letters change their shape.
 */
const JOINED =
  /(?<=\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?)\u200D(?=\p{Extended_Pictographic})|(?<=[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}])[\u200C\u200D](?=[\p{L}\p{M}])/u;
/** Visible format characters: signs of Arabic, Syriac and Kaithi that precede a number. */
const DRAWN = /[\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\u{110BD}\u{110CD}]/u;
/** The flags of England, Scotland and Wales: a black flag, followed by invisible letters. */
const FLAG_LETTERS = /(?<=\u{1F3F4}[\u{E0020}-\u{E007E}]*)[\u{E0020}-\u{E007F}]/u;

/** Invisible characters that change how other characters are displayed. */
const FORMAT = new RegExp(
  `(?!${[JOINED, DRAWN, FLAG_LETTERS].map(({ source }) => source).join("|")})\\p{Cf}`,
  "gu",
);

/**
 * A letter, a number or a symbol: not a mark without a base, and not a character that only looks like a
 * space.
 */
const SEEN = /(?![\p{Default_Ignorable_Code_Point}\u2800])[\p{L}\p{N}\p{P}\p{S}]/u;

/** The text as a single line, in Unicode's normalization form C (NFC). */
export const toSingleLine = (text: string): string =>
  text.replace(PARTING, " ").replace(FORMAT, "").replace(/ {2,}/g, " ").trim().normalize("NFC");

/** Text of several lines, without control and format characters that are invisible. */
export const toMultiline = (text: string): string =>
  text
    .replace(/\r\n?|[\v\f\u0085\u2028\u2029]/g, "\n")
    .replace(/(?![\n\t])\p{Cc}/gu, "")
    .replace(FORMAT, "")
    .normalize("NFC");

/** Whether a text has a visible character. */
export const isVisible = (text: string): boolean => SEEN.test(text);

/**
 * Reads a text field as a single line of at most `max` characters. It may be empty unless it is `required`,
 * but it may not be invisible.
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
