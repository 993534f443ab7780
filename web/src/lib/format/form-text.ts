/** What was typed into a field of a form; browsers send every line end as two characters. */
export const textOf = (form: FormData, name: string): string =>
  String(form.get(name) ?? "").replaceAll("\r\n", "\n");

const DIGIT = /\p{Nd}/u;

/** The value of a decimal digit of any script: they stand in runs of ten, from 0 to 9. */
function digitValue(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let before = 0;
  while (DIGIT.test(String.fromCodePoint(code - before - 1))) before += 1;
  return String(before % 10);
}

/** A number as it was typed, in the digits and signs of ASCII: "２５００", "٢٥٫٥". */
export function plainNumber(text: string): string {
  // Of "2²" the compatibility form would be 22.
  if (/\p{No}/u.test(text)) return text;
  const plain = text.normalize("NFKC").replaceAll("\u066B", ".");
  return plain.replace(/\p{Nd}/gu, digitValue).trim();
}

/** The first so many characters, as the contracts count them: never half of one. */
export const firstCharacters = (text: string, count: number): string =>
  [...text].slice(0, count).join("");
