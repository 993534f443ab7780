import { describe, expect, it } from "vitest";
import { readSingleLine, toSingleLine } from "./text.ts";

const read = (text: string, required = true) =>
  readSingleLine(text, "title", { max: 10, required });

describe("text that is shown to people", () => {
  it.each([
    ["is trimmed", "  a concert\t ", "a concert"],
    ["is one line", "Sold!\r\n\r\nPay\u2028here\u2029now\v\f\u0085.", "Sold! Pay here now ."],
    ["turns nothing around", "tra\u202Ehsac\u202C \u2067x\u2069\u200F", "trahsac x"],
    ["has nothing between its letters", "f\u200Br\u2060e\u00ADe\uFEFF\u180E", "free"],
    ["has no control character", "a\u0000b\u001B[31mc\u009F", "a b [31mc"],
    ["has one form of each letter", "Cafe\u0301", "Caf\u00E9"],
    ["has no joiner on its own", "a\u200Db\u200C", "ab"],
    ["has no letters of tags", "a\u{E0041}\u{E0001}b", "ab"],
  ])("%s", (_rule, typed, stored) => {
    expect(toSingleLine(typed)).toBe(stored);
  });

  it.each([
    ["an emoji of several", "👩🏽‍🚀 ❤️‍🔥 👨‍👩‍👧"],
    ["Persian", "می‌خواهم"],
    ["Hindi", "क्‍ष"],
    ["a flag of letters", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"],
    ["a flag of a country", "🇫🇷"],
    ["a sign before a number", "\u060012"],
    ["any script", "東京ドーム Ω ж ⅷ"],
  ])("keeps %s unchanged", (_what, text) => {
    expect(toSingleLine(text)).toBe(text);
  });

  it.each([
    ...["\u200B", "\u3164", "\u115F\u1160", "\uFFA0", "\u2800", "\u0301", "\uFE0F", "\u034F"],
    ...["\u202E", "\u00A0\u3000", "\n", "\u{E0041}", "\u17B4", ""],
  ])("must contain a visible character: %j is refused", (text) => {
    expect(() => read(text)).toThrow("can be seen");
  });

  it("may be omitted if it is optional, but may not be invisible", () => {
    expect(read("", false)).toBe("");
    expect(read("  ", false)).toBe("");
    expect(() => read("\u200B", false)).toThrow("can be seen");
  });

  it("is limited in length as it is stored, in characters", () => {
    expect(read(`  ${"🎸".repeat(10)}  `)).toBe("🎸".repeat(10));
    expect(() => read("🎸".repeat(11))).toThrow("at most 10");
  });
});
