import { describe, expect, it } from "vitest";
import { readSingleLine, toSingleLine } from "./text.ts";

const read = (text: string, required = true) =>
  readSingleLine(text, "title", { max: 10, required });

describe("text that is shown to people", () => {
  it.each([
    ["is trimmed", "  a concert\t ", "a concert"],
    ["is a single line", "Sold!\r\n\r\nPay\u2028here\u2029now\v\f\u0085.", "Sold! Pay here now ."],
    [
      "contains no bidirectional control characters",
      "tra\u202Ehsac\u202C \u2067x\u2069\u200F",
      "trahsac x",
    ],
    ["contains no invisible characters", "f\u200Br\u2060e\u00ADe\uFEFF\u180E", "free"],
    ["contains no control characters", "a\u0000b\u001B[31mc\u009F", "a b [31mc"],
    ["is normalized", "Cafe\u0301", "Caf\u00E9"],
    ["contains no unnecessary joiners", "a\u200Db\u200C", "ab"],
    ["contains no tag characters", "a\u{E0041}\u{E0001}b", "ab"],
  ])("%s", (_rule, typed, stored) => {
    expect(toSingleLine(typed)).toBe(stored);
  });

  it.each([
    ["a combined emoji", "👩🏽‍🚀 ❤️‍🔥 👨‍👩‍👧"],
    ["Persian", "می‌خواهم"],
    ["Hindi", "क्‍ष"],
    ["a flag of tag characters", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"],
    ["the flag of a country", "🇫🇷"],
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
