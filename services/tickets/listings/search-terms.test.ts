import { describe, expect, it } from "vitest";
import { queryTerms, searchTerms, termsOf } from "./search-terms.ts";

/** Whether a search for these words finds a ticket with this title. */
const finds = (query: string, title: string): boolean => {
  const terms = termsOf(title);
  return queryTerms(query).every((wanted) => terms.some((term) => term.startsWith(wanted)));
};

describe("a search finds", () => {
  it.each([
    ["the beginning of a word", "fest", "Summer Festival"],
    ["each of several words, in any order", "fest sum", "Summer Festival"],
    ["any case", "SUMMER", "summer"],
    ["letters without their accents", "cafe zurich", "Café Zürich"],
    ["accents that the title does not have", "Café", "Cafe"],
    ["ß and ss", "grosse", "Große Freiheit"],
    ["ss as ß", "große", "Grosse Freiheit"],
    ["a capital ẞ", "strasse", "STRAẞE"],
    ["ligatures and Nordic letters", "aero smorrebrod", "Ærø Smørrebrød"],
    ["Polish letters", "lodz", "Łódź"],
    ["Turkish letters", "istanbul", "İSTANBUL"],
    ["a dotless i", "aydin", "Aydın"],
    ["Vietnamese letters", "da nang", "Đà Nẵng"],
    ["Greek in any case", "ΟΔΥΣΣΕΥΣ", "Οδυσσεύς"],
    ["Cyrillic with and without its accents", "еж", "Ёж"],
    ["Arabic without its vowel points", "محمد", "مُحَمَّد"],
    ["full-width letters", "rock", "ＲＯＣＫ"],
    ["an apostrophe that is left out", "obrien", "O'Brien"],
    ["a typographic apostrophe", "O'Brien", "O’Brien"],
    ["what follows an apostrophe", "amour", "L’amour"],
    ["each part of a word with a hyphen", "pop", "Rock-Pop"],
    ["a hyphen that is left out", "rockpop", "Rock-Pop"],
    ["a hyphen instead of a space", "rock-pop", "Rock & Pop"],
    ["numbers", "2027", "Tour 2027/28"],
    ["Japanese inside of a phrase", "ドーム", "東京ドーム公演"],
    ["a single Chinese character", "演", "东京演唱会"],
    ["the last Chinese character", "会", "东京演唱会"],
    ["Chinese next to Latin letters", "u2", "东京u2演唱会"],
    ["Thai inside of a phrase", "ดนตรี", "งานดนตรีกรุงเทพ"],
    ["Korean by the beginning of a word", "콘서", "서울 콘서트"],
    ["Hindi", "संगीत", "शास्त्रीय संगीत"],
    ["an emoji", "🎸", "Rock 🎸 night"],
  ])("%s", (_, query, title) => expect(finds(query, title)).toBe(true));

  it.each([
    ["the end of a word", "tival", "Summer Festival"],
    ["a title that lacks one of the words", "summer winter", "Summer Festival"],
    ["Chinese characters that are not next to each other", "东会", "东京演唱会"],
    ["another emoji", "🎻", "Rock 🎸 night"],
  ])("not %s", (_, query, title) => expect(finds(query, title)).toBe(false));
});

it("text without letters asks for nothing", () => {
  expect(queryTerms(' "!?" -- \' ')).toEqual([]);
});

it("a term is safe in an expression, whatever is typed", () => {
  expect(queryTerms(".*|(a+)+$ [b] \\c ^d {2}").join("")).toBe("abcd2");
});

it("a ticket has the terms of its title, venue and category", () => {
  const listing = { title: "Jazz", venue: "Köln", category: "CONCERT" } as const;
  expect(searchTerms(listing)).toEqual(["jazz", "koln", "@koln", "concert", "category:CONCERT"]);
});
