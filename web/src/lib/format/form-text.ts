/** The value of a form's field, exactly as it was sent; empty if the field is missing. */
export const formValue = (form: FormData, name: string): string => String(form.get(name) ?? "");

/** The text of a form's field. Browsers send every line break as two characters; here it is one. */
export const formText = (form: FormData, name: string): string =>
  formValue(form, name).replaceAll("\r\n", "\n");

/** The version of a ticket in a form's field; 0 if the field holds none. */
export const versionIn = (form: FormData, name: string): bigint =>
  BigInt(/^\d{1,18}$/.exec(formValue(form, name))?.[0] ?? 0);

const DIGIT = /\p{Nd}/u;

/** The value of a decimal digit of any script: in Unicode they come in runs of ten, from 0 to 9. */
function digitValue(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let lowerDigits = 0;
  while (DIGIT.test(String.fromCodePoint(code - lowerDigits - 1))) lowerDigits += 1;
  return String(lowerDigits % 10);
}

/** A number as it was typed ("２５００", "٢٥٫٥"), in ASCII digits and signs. */
export function plainNumber(text: string): string {
  // NFKC would turn "2²" into 22.
  if (/\p{No}/u.test(text)) return text;
  const plain = text.normalize("NFKC").replaceAll("\u066B", ".");
  return plain.replace(/\p{Nd}/gu, digitValue).trim();
}

/** The first `count` characters, counted like the contracts: no character is cut in half. */
export const firstCharacters = (text: string, count: number): string =>
  [...text].slice(0, count).join("");
