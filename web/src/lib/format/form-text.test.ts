import { expect, it } from "vitest";
import { firstCharacters, plainNumber, formText } from "./form-text.ts";

it("counts a line break as one character", () => {
  const form = new FormData();
  form.set("code", "one\r\ntwo\nthree\r\n");
  expect(formText(form, "code")).toBe("one\ntwo\nthree\n");
  expect(formText(form, "missing")).toBe("");
});

it.each([
  ["２５００", "2500"],
  ["１９．９０", "19.90"],
  ["１９，９０", "19,90"],
  ["٢٥٫٥", "25.5"],
  ["۱۲۳", "123"],
  ["२५०", "250"],
  ["๒๕", "25"],
  ["𝟚𝟝", "25"],
  [" 25\u00a0", "25"],
  ["twenty", "twenty"],
  ["2²", "2²"],
  ["½", "½"],
])("reads the number %s as %s", (typed, read) => {
  expect(plainNumber(typed)).toBe(read);
});

it("cuts between characters, never within one", () => {
  expect(firstCharacters(`${"a".repeat(199)}🎸🎸`, 200)).toBe(`${"a".repeat(199)}🎸`);
});
